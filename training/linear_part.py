"""The linear part of a model: unit vectors of items, which learn to rank as the best linear model ranks.

That model (EASE or item-kNN) holds items × items weights. The linear part holds a few numbers for each item. A user's
vector is the fading sum of the vectors of the recent items (as in ELSA: Vančura et al., "Scalable Linear Shallow
Autoencoder for Collaborative Filtering", 2022). The linear model's answers and the ratings teach it.
"""

from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.artifacts import MAX_RECENT_ITEMS
from training.catalogue import Catalogue
from training.data import RatingData
from training.examples import Batch, Examples
from training.fit import MAX_LOG_SCALE, Settings
from training.histories import Flags
from training.loss import loss
from training.teacher import Lesson

FEW_ITEMS = 1_000
"""With fewer items than this, and no time, half of the numbers hold what can be learned (sample shop of 119 items,
three splits, NDCG: .439 with 32 numbers, .434 with 64)."""
PASSES = 4
"""How often training sees each rating, within `STEPS`."""
STEPS = (200, 1_500)
"""The fewest and the most training steps."""
TOLD, TOLD_IN_TIME = 0.3, 0.7
"""The weight of the ratings in the loss, without and with a time; the teacher's answers have the rest."""
LEARNING_RATE = 0.03


class LinearPart(nn.Module):
    """The part's vectors, `dim` numbers for each item. An item that nobody has rated has zeros."""

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

    def items(self, items: Tensor) -> Tensor:
        """Returns unit vectors (n, dim), and zeros for an item that nobody has rated."""
        return functional.normalize(self.ids(items), dim=-1) * self.rated[items]

    def users(self, recent: Tensor, mask: Tensor) -> Tensor:
        """Returns unit vectors (batch, dim) for recent items (batch, n, dim), latest first. Without recent items:
        zeros."""
        recent, mask = recent[:, :MAX_RECENT_ITEMS], mask[:, :MAX_RECENT_ITEMS]
        weights = mask * self.weights[: recent.shape[1]]
        return functional.normalize((weights.unsqueeze(1) @ recent).squeeze(1), dim=-1)


def fit(data: RatingData, known: Flags, lesson: Lesson, settings: Settings) -> LinearPart:
    """Trains a linear part on the lesson and the `known` ratings."""
    catalogue = Catalogue(np.bincount(data.item[known], minlength=len(data.items)), settings.candidates)
    torch.manual_seed(settings.seed)
    few = len(data.items) < FEW_ITEMS and data.time is None
    dim = (settings.linear_dim + 1) // 2 if few else settings.linear_dim
    part = LinearPart(dim, lesson.teacher.fade, catalogue.rated)
    examples = Examples(data, known, settings.disliked_weight)
    steps = int(np.clip(PASSES * len(examples) // settings.batch, *STEPS))
    told = TOLD if data.time is None else TOLD_IN_TIME
    optimizer = torch.optim.Adam(part.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.01, 1.0 - step / steps))
    for batch in islice(examples.endless(settings.batch, settings.forget_items, settings.seed), steps):
        mean = _loss(part, batch, catalogue, lesson, told)
        optimizer.zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return part.eval()


def _loss(part: LinearPart, batch: Batch, catalogue: Catalogue, lesson: Lesson, told: float) -> Tensor:
    step = catalogue.step(batch.target, batch.recent)
    vectors = part.items(step.items)
    users = part.users(functional.embedding(step.place[batch.recent], vectors), (batch.recent >= 0).float())
    logits = part.log_scale.clamp(max=MAX_LOG_SCALE).exp() * users @ vectors[: step.n_candidates].T
    return loss(logits, batch, step, lesson, told)
