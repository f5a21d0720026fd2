"""Trains the two towers with a softmax over the catalogue. Training stops early, and resumes after a kill."""

import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training import features
from training.catalogue import Catalogue
from training.data import RatingData
from training.examples import Batch, Examples, Forget
from training.histories import Flags
from training.loss import loss
from training.model import Shape, TwoTower
from training.teacher import Lesson

EMA_DECAY = 0.99
STEPS_AN_EPOCH = 60
"""The fewest steps of an epoch on small data. With fewer, early stopping would end before the model has learned."""
SMALLEST_BATCH = 32
MOST_EXAMPLES = 100_000
"""The most examples of an epoch, drawn at random. More would only mean that training is seldom validated."""
SMALL_CATALOGUE, FEW_RATINGS = 5_000, 300_000
"""With fewer items and ratings than these one thread is used. On small data two are not faster, and with other work on
the machine slower (1,682 items, two cores that other work shares: a step takes 22 ms on one thread, 32 ms on two)."""
TAUGHT = 0.5
"""The weight of the teacher's answers if ratings have no time; the example's own answer has the rest. Likes without an
order are a set, and EASE predicts sets best (sample shop, validation NDCG: .402 with it, .378 without). If ratings have
a time, the next item counts, and towers that EASE taught are worse (generated films: .131 against .150)."""
MAX_LOG_SCALE = 4.6
"""The greatest logarithm of the softmax's inverse temperature: that of 100, as in CLIP (Radford et al., 2021)."""


@dataclass(frozen=True)
class Settings:
    """Settings of training. The defaults were chosen on validation splits of public and generated data
    (docs/model.md)."""

    seed: int = 7
    dim: int = 32
    """Numbers of the towers' vectors."""
    linear_dim: int = 64
    """Numbers of the linear part, which follow the towers' numbers in an item's vector; half of them for few items
    (`linear_part.FEW_ITEMS`). 0: no linear part."""
    epochs: int = 40
    """The most epochs. Early stopping mostly ends after about twelve; likes without a time may take more."""
    patience: int = 6
    """Epochs without a better validation NDCG before training stops."""
    batch: int = 512
    """The most examples of a batch; small data have smaller batches."""
    learning_rate: float = 4e-3
    weight_decay: float = 0.5
    candidates: int = 1_000
    """The most items in the softmax. A larger catalogue is sampled, anew for each step."""
    similarity: str = "cosine"
    forget_items: float = 0.15
    """Share of recent items left out at random in training."""
    forget_history: float = 0.05
    """Share of training examples without any recent item, as for a new user."""
    disliked_weight: float = 0.3
    """Weight of an example whose rating is below liked; a liked one has weight 1."""
    forget_ids: float = 0.1
    """Share of items whose id is hidden in a training step, as for a new item."""


@dataclass
class Curve:
    """The course of training, an entry for each epoch."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The best epoch, counted from 1; 0 if nothing was measured."""
        return 1 + int(np.argmax(self.validation)) if self.validation else 0


class Inputs:
    """The tensors that a data set is trained from: features of all users and items, without the `unread` of items."""

    def __init__(self, data: RatingData, settings: Settings, unread: frozenset[str] = frozenset()) -> None:
        user_encodings = features.fit(data.users, data.dataset.users.features)
        item_encodings = features.fit(data.items, data.dataset.items.features, unread)
        self.users = features.encode(data.users, user_encodings)
        self.items = features.encode(data.items, item_encodings)
        self.shape = Shape(
            n_items=len(data.items),
            dim=settings.dim,
            item_encodings=item_encodings,
            user_encodings=user_encodings,
            ordered=data.time is not None,
            cosine=settings.similarity == "cosine",
        )


def set_torch(data: RatingData) -> None:
    """Sets torch's threads, and asks for the same bytes in every run, for the whole process."""
    torch.use_deterministic_algorithms(True)
    small = len(data.items) < SMALL_CATALOGUE and len(data.user) < FEW_RATINGS
    torch.set_num_threads(1 if small else (os.cpu_count() or 1))
    # No uninitialised memory is read here; filling it takes a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


class Trainer:
    """Trains on the `known` ratings; if these have no time, also on the lesson. `run` may be called once."""

    def __init__(
        self, data: RatingData, known: Flags, inputs: Inputs, settings: Settings, lesson: Lesson | None = None
    ) -> None:
        self.settings, self.inputs, self.data = settings, inputs, data
        self.lesson = lesson if data.time is None else None
        self.examples = Examples(data, known, settings.disliked_weight)
        self.batch = min(settings.batch, max(SMALLEST_BATCH, len(self.examples) // STEPS_AN_EPOCH))
        self.catalogue = Catalogue(np.bincount(data.item[known], minlength=len(data.items)), settings.candidates)
        rated = self.catalogue.rated
        set_torch(data)
        torch.manual_seed(settings.seed)
        self.model = TwoTower(inputs.shape, rated)
        self.average = TwoTower(inputs.shape, rated)
        self.average.load_state_dict(self.model.state_dict())
        self._weights: list[Tensor] = list(self.model.parameters())
        self._averages: list[Tensor] = list(self.average.parameters())
        self.optimizer = torch.optim.AdamW(
            self._weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.curve = Curve()
        self.epoch = 0
        self.steps = 0
        self.best: dict[str, Tensor] | None = None

    def run(
        self,
        epochs: int,
        validate: Callable[[TwoTower], float] | None = None,
        on_epoch: Callable[[Curve], None] = lambda curve: None,
        checkpoint: Path | None = None,
    ) -> TwoTower:
        """Trains, and returns the moving average of the weights; with `validate`, that of the best epoch."""
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
        while self.epoch < epochs and not self._waited_enough():
            self.curve.loss.append(self._train_epoch())
            self.epoch += 1
            if validate is not None:
                self.average.eval()
                self.curve.validation.append(validate(self.average))
                if self.curve.best_epoch == self.epoch:
                    self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
            if checkpoint is not None:
                self._save(checkpoint)
            on_epoch(self.curve)
        if self.best is not None:
            self.average.load_state_dict(self.best)
        return self.average.eval()

    def _waited_enough(self) -> bool:
        return bool(self.curve.validation) and self.epoch - self.curve.best_epoch >= self.settings.patience

    def _train_epoch(self) -> float:
        self.model.train()
        # Seeded by the epoch, so that a resumed run draws what the killed one would have drawn.
        random = np.random.default_rng((self.settings.seed, self.epoch))
        torch.manual_seed(int(random.integers(2**31)))
        forget = Forget(self.settings.forget_items, self.settings.forget_history)
        batches = islice(self.examples.batches(self.batch, forget, random), math.ceil(MOST_EXAMPLES / self.batch))
        losses = [self._step(batch) for batch in batches]
        return float(np.mean(losses))

    def _step(self, batch: Batch) -> float:
        mean = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, 5.0, foreach=True)
        self.optimizer.step()
        self.steps += 1
        decay = min(EMA_DECAY, self.steps / (10.0 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1.0 - decay)
        return float(mean.detach())

    def _loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the target among the whole catalogue, or among the candidates drawn from a large one."""
        step = self.catalogue.step(batch.target, batch.recent)
        keep = torch.rand(len(step.items), 1) >= self.settings.forget_ids
        vectors = self.model.items([column[step.items] for column in self.inputs.items], step.items, keep.float())
        recent = functional.embedding(step.place[batch.recent], vectors)
        columns = [column[batch.user] for column in self.inputs.users]
        users = self.model.users(columns, recent, (batch.recent >= 0).float())
        scale = self.model.log_scale.clamp(max=MAX_LOG_SCALE).exp()
        logits = scale * users @ vectors[: step.n_candidates].T
        return loss(logits, batch, step, self.lesson, told=1.0 - TAUGHT)

    def _save(self, checkpoint: Path) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "loss": self.curve.loss,
            "validation": self.curve.validation,
            "steps": self.steps,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        partial = checkpoint.with_suffix(".partial")
        partial.write_bytes(buffer.getvalue())
        partial.replace(checkpoint)

    def _resume(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.steps = state["best"], state["steps"]
        self.curve = Curve(list(state["loss"]), list(state["validation"]))
        self.epoch = len(self.curve.loss)
