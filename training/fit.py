"""Trains the two towers with a softmax over the catalogue; stops early; goes on after a kill where it was."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training import features
from training.data import RatingData
from training.histories import Flags, Histories, Indices, histories
from training.model import MAX_RECENT, Shape, TwoTower

FULL_SOFTMAX_ITEMS = 20_000
"""A catalogue larger than this is sampled, with popularity corrected for."""
SAMPLED_ITEMS = 8_192
EMA_DECAY = 0.99


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults were chosen on validation splits of generated data; see docs/model.md."""

    seed: int = 7
    dim: int = 32
    epochs: int = 60
    """At most; early stopping ends sooner."""
    patience: int = 6
    """Epochs without a better validation NDCG before training stops."""
    batch: int = 512
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    similarity: str = "cosine"
    forget_items: float = 0.15
    """Share of recent items left out at random in training."""
    forget_history: float = 0.05
    """Share of training examples without any recent item: a user never seen."""
    forget_ids: float = 0.1
    """Share of items without an id in a training step: an item never rated."""


@dataclass
class Curve:
    """An entry an epoch."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """Counted from 1; 0 where nothing was measured."""
        return 1 + int(np.argmax(self.validation)) if self.validation else 0


class Inputs:
    """The tensors that a data set is trained from: features of all users and items."""

    def __init__(self, data: RatingData, settings: Settings) -> None:
        user_encodings = features.fit(data.users, data.dataset.users.features)
        item_encodings = features.fit(data.items, data.dataset.items.features)
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


class Trainer:
    """Trains on the `known` ratings. `run` may be called once."""

    def __init__(self, data: RatingData, known: Flags, inputs: Inputs, settings: Settings) -> None:
        self.settings, self.inputs, self.data = settings, inputs, data
        self.history = histories(data, known)
        self.count = np.bincount(data.item[known], minlength=len(data.items))
        torch.manual_seed(settings.seed)
        torch.use_deterministic_algorithms(True)
        self.model = TwoTower(inputs.shape, torch.from_numpy(self.count > 0))
        self.average = TwoTower(inputs.shape, torch.from_numpy(self.count > 0))
        self.average.load_state_dict(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
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
        """Trains and returns the weights' moving average: of the best epoch where `validate` measures them."""
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
        losses = [self._step(*batch, random) for batch in self._batches(random)]
        return float(np.mean(losses))

    def _step(
        self, user: Indices, liked: Indices, recent: Indices, target: Indices, random: np.random.Generator
    ) -> float:
        loss = self._loss(*map(torch.from_numpy, (user, liked, recent, target)))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.steps += 1
        decay = min(EMA_DECAY, self.steps / (10.0 + self.steps))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1.0 - decay)
        return float(loss.detach())

    def _loss(self, user: Tensor, liked: Tensor, recent: Tensor, target: Tensor) -> Tensor:
        keep = torch.rand(self.inputs.shape.n_items, 1) >= self.settings.forget_ids
        vectors = self.model.items(self.inputs.items, keep.float())
        users = self.model.users(
            [column[user] for column in self.inputs.users], vectors[recent.clamp(min=0)], (recent >= 0).float()
        )
        logits = self.model.log_scale.clamp(max=4.6).exp() * users @ vectors.T
        never_rated = torch.from_numpy(self.count == 0)
        # What is liked already is never recommended, so it is no wrong answer either.
        n_items = self.inputs.shape.n_items
        answered = torch.zeros(len(target), n_items + 1, dtype=torch.bool)
        answered.scatter_(1, torch.where(liked < 0, n_items, liked), True)
        return functional.cross_entropy(logits.masked_fill(never_rated | answered[:, :-1], -1e9), target)

    def _batches(self, random: np.random.Generator) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
        history, settings = _shuffled_in_users(self.history, random, self.inputs.shape.ordered), self.settings
        order = random.permutation(len(history.item))
        for begin in range(0, len(order), settings.batch):
            chosen = order[begin : begin + settings.batch]
            liked = _recent_of(history, chosen, self.inputs.shape.ordered)
            forget = random.random(liked.shape) < settings.forget_items
            forget |= (random.random(len(chosen)) < settings.forget_history)[:, None]
            recent = _packed(np.where(forget, -1, liked))
            yield history.user[chosen], liked, recent, history.item[chosen]

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


def _shuffled_in_users(history: Histories, random: np.random.Generator, ordered: bool) -> Histories:
    if ordered:
        return history
    order = np.lexsort((random.random(len(history.item)), history.user))
    return Histories(history.user, history.item[order], history.start)


def _recent_of(history: Histories, chosen: Indices, ordered: bool) -> Indices:
    """(n, MAX_RECENT) what the user liked before each chosen one; without time, any others of the user, by chance."""
    user = history.user[chosen]
    begin, end = history.start[user][:, None], history.start[user + 1][:, None]
    position = chosen[:, None] - 1 - np.arange(MAX_RECENT)
    there = position >= begin
    if not ordered:  # go round the user's shuffled items, up to the chosen one itself
        there = np.arange(MAX_RECENT) < end - begin - 1
        position = np.where(position < begin, position + (end - begin), position)
    return np.where(there, history.item[np.where(there, position, 0)], -1)


def _packed(recent: Indices) -> Indices:
    """Moves what is left to the front, in its order, and cuts columns that nobody needs (one stays)."""
    order = np.argsort(recent < 0, axis=1, kind="stable")
    longest = max(1, int((recent >= 0).sum(1).max(initial=0)))
    return np.take_along_axis(recent, order, axis=1)[:, :longest]
