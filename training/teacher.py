"""A linear model as a teacher: the probability of each item that it expects after a history.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015: a model that learns another one's probabilities
beside the one right answer of each example learns from less data.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from training import linear
from training.data import RatingData
from training.exclusion import excluded_from
from training.histories import Cases, Flags, histories
from training.linear import Setting
from training.metrics import CHUNK

SHARPNESS = (3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0)
"""Factors that are tried on the scores; the product is the logits of a softmax."""
NOTICED = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
"""Weights that are tried for the logarithm of the number of an item's ratings below liked. Such an item is noticed more
than EASE learns from likes (sample shop, eight splits: +.003 validation NDCG, +.007 test NDCG)."""


@dataclass(frozen=True)
class Teacher:
    """A linear model with the setting that is best on validation."""

    setting: Setting
    fade: float
    sharpness: float
    noticed: float


class Lesson:
    """The answers of a teacher that knows the `known` ratings."""

    def __init__(self, teacher: Teacher, data: RatingData, known: Flags) -> None:
        self.teacher = teacher
        self._weights, self._n_items = linear.fit(data, known, teacher.setting), len(data.items)
        not_liked = np.bincount(data.item[known & ~data.liked], minlength=self._n_items)
        self.noticed = torch.from_numpy(np.log1p(not_liked).astype(np.float32))

    def scores(self, recent: Tensor, items: Tensor | None = None) -> Tensor:
        """Returns scores (n, n_items), or only those of `items`, for histories (n, at most MAX_RECENT_ITEMS): latest
        first, -1 for none."""
        history = recent.numpy()
        row, age = np.nonzero(history >= 0)
        faded = (self.teacher.fade**age).astype(np.float32)
        seen = sparse.csr_matrix((faded, (row, history[row, age])), shape=(len(history), self._n_items))
        return torch.from_numpy(self._weights.score(seen, None if items is None else items.numpy()))

    def loss(self, told: Tensor, recent: Tensor, items: Tensor, hidden: Tensor) -> Tensor:
        """Returns the cross-entropy (n,) of the teacher's probabilities and a model's log-probabilities `told` (n,
        len(items)).

        `hidden` (n, len(items)) marks items that are no answers, because the user knows them.
        """
        logits = self.teacher.sharpness * self.scores(recent, items) + self.teacher.noticed * self.noticed[items]
        wanted = torch.softmax(logits.masked_fill(hidden, -torch.inf), dim=-1)
        losses: Tensor = -(wanted * told.masked_fill(hidden, 0.0)).sum(1)
        return losses


def find(data: RatingData, cases: Cases, setting: Setting, fade: float) -> Lesson:
    """Returns the lesson, of the ratings that the cases know, whose sharpness and weight of ratings below liked make
    the cases' held-out items most likely."""
    lesson = Lesson(Teacher(setting, fade, sharpness=1.0, noticed=0.0), data, cases.known)
    history, left_out = histories(data, cases.known), excluded_from(data, cases)
    losses = dict.fromkeys(product(SHARPNESS, NOTICED), 0.0)
    for begin in range(0, len(cases.user), CHUNK):
        user, item = cases.user[begin : begin + CHUNK], torch.from_numpy(cases.item[begin : begin + CHUNK])
        scores = lesson.scores(torch.from_numpy(history.recent(user)))
        scores[left_out[user].nonzero()] = -torch.inf
        for by, of in losses:
            logits = by * scores + of * lesson.noticed
            losses[by, of] += float(functional.cross_entropy(logits, item, reduction="sum"))
    sharpness, noticed = min(losses, key=lambda setting: losses[setting])
    lesson.teacher = Teacher(setting, fade, sharpness, noticed)
    return lesson
