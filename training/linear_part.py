"""The linear part of a model: unit vectors of items, learned to rank as EASE with a fading history ranks.

EASE holds items × items weights. Here an item has a few numbers, and a user's vector is the fading sum of the recent
items' (as in ELSA: Vančura et al., "Scalable Linear Shallow Autoencoder for Collaborative Filtering", 2022). It is
taught by EASE's own answers, and by the ratings themselves.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.artifacts import MAX_RECENT_ITEMS
from training.catalogue import Catalogue
from training.data import RatingData
from training.examples import Batch, Examples, Forget
from training.fit import MAX_LOG_SCALE, Settings
from training.histories import Flags
from training.teacher import Lesson

STEPS = 200
"""The steps of training, however many ratings there are: validation NDCG rises no more after half of them."""
TOLD = 0.3
"""How much the ratings themselves count beside EASE's answers."""
LEARNING_RATE = 0.03


class LinearPart(nn.Module):
    """`dim` numbers an item; an item that nobody has rated has none (zeros)."""

    rated: Tensor
    weights: Tensor

    def __init__(self, dim: int, fade: float, rated: Tensor) -> None:
        super().__init__()
        self.ids = nn.Embedding(len(rated), dim)
        nn.init.normal_(self.ids.weight, std=dim**-0.5)
        self.log_scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("rated", rated.to(torch.float32).unsqueeze(-1))
        self.register_buffer("weights", fade ** torch.arange(MAX_RECENT_ITEMS, dtype=torch.float32))

    @property
    def dim(self) -> int:
        return self.ids.embedding_dim

    def items(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """(n, dim) unit vectors, and (n, 1) which of the items nobody has rated."""
        return functional.normalize(self.ids(items), dim=-1) * self.rated[items], 1.0 - self.rated[items]

    def users(self, recent: Tensor, mask: Tensor) -> Tensor:
        """(batch, dim) unit vectors from those of recent items (batch, n, dim), latest first; without any, zeros."""
        recent, mask = recent[:, :MAX_RECENT_ITEMS], mask[:, :MAX_RECENT_ITEMS]
        weights = mask * self.weights[: recent.shape[1]]
        return functional.normalize((weights.unsqueeze(1) @ recent).squeeze(1), dim=-1)


def fit(data: RatingData, known: Flags, lesson: Lesson, settings: Settings) -> LinearPart:
    """Teaches a part what EASE knows of the `known` ratings."""
    catalogue = Catalogue(np.bincount(data.item[known], minlength=len(data.items)), len(data.items))
    torch.manual_seed(settings.seed)
    part = LinearPart(settings.linear_dim - 1, lesson.teacher.fade, catalogue.rated)
    optimizer = torch.optim.Adam(part.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.01, 1.0 - step / STEPS))
    for batch in islice(_batches(Examples(data, known, settings.disliked_weight), settings), STEPS):
        loss = _loss(part, batch, catalogue, lesson)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return part.eval()


def _batches(examples: Examples, settings: Settings) -> Iterator[Batch]:
    """All examples again and again."""
    random = np.random.default_rng(settings.seed)
    while len(examples):
        yield from examples.batches(settings.batch, Forget(settings.forget_items, 0.0), random)


def _loss(part: LinearPart, batch: Batch, catalogue: Catalogue, lesson: Lesson) -> Tensor:
    """Cross-entropy with EASE's answers, and with what was rated; what the user knows already is no answer."""
    step = catalogue.step(batch.target, batch.recent)
    vectors, _ = part.items(step.items)
    users = part.users(functional.embedding(step.place[batch.recent], vectors), (batch.recent >= 0).float())
    logits = part.log_scale.clamp(max=MAX_LOG_SCALE).exp() * users @ vectors.T
    hidden = step.among(batch.known)
    told = torch.log_softmax(logits.masked_fill(hidden, -1e9), dim=-1)
    losses = TOLD * functional.nll_loss(told, step.place[batch.target], reduction="none")
    losses = losses + (1.0 - TOLD) * lesson.loss(told, batch.known, step.items, hidden)
    return (losses * batch.weight).sum() / batch.weight.sum()
