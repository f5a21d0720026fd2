"""EASE as a teacher: what it expects of a history, as a probability of each item.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015: a model that learns another one's probabilities
beside the one right answer of each example learns from less data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training import linear
from training.data import RatingData
from training.exclusion import excluded_from, rating_matrix
from training.histories import Cases, Flags, histories
from training.metrics import CHUNK

SHARPNESS = (3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""By how much EASE's scores are multiplied to be the logits of a softmax."""


@dataclass(frozen=True)
class Teacher:
    """EASE with the setting that was found on validation."""

    only_liked: bool
    regularisation: float
    fade: float
    sharpness: float


class Lesson:
    """Answers as a teacher that knows the `known` ratings. It holds items × items numbers."""

    def __init__(self, teacher: Teacher, data: RatingData, known: Flags) -> None:
        self.teacher = teacher
        chosen = known & data.liked if teacher.only_liked else known
        self._weights = torch.from_numpy(linear.ease_weights(rating_matrix(data, chosen), teacher.regularisation))

    def scores(self, recent: Tensor) -> Tensor:
        """(n, n_items) for histories (n, at most MAX_RECENT_ITEMS), most recent first, -1 for none."""
        faded = (recent >= 0) * self.teacher.fade ** torch.arange(recent.shape[1], dtype=torch.float32)
        return functional.embedding_bag(recent.clamp(min=0), self._weights, per_sample_weights=faded, mode="sum")

    def loss(self, told: Tensor, recent: Tensor, items: Tensor, hidden: Tensor) -> Tensor:
        """(n,) cross-entropy of the teacher's probabilities and a model's log-probabilities `told` (n, len(items)).

        `hidden` (n, len(items)) are no answers: the user knows them already.
        """
        logits = self.teacher.sharpness * self.scores(recent)[:, items]
        wanted = torch.softmax(logits.masked_fill(hidden, -torch.inf), dim=-1)
        losses: Tensor = -(wanted * told.masked_fill(hidden, 0.0)).sum(1)
        return losses


def find(data: RatingData, cases: Cases, setting: Mapping[str, Any]) -> Teacher:
    """With the sharpness by which the cases' held-out items are the likeliest."""
    lesson = Lesson(Teacher(**setting, sharpness=1.0), data, cases.known)
    history, left_out, losses = histories(data, cases.known), excluded_from(data, cases), np.zeros(len(SHARPNESS))
    for begin in range(0, len(cases.user), CHUNK):
        user, item = cases.user[begin : begin + CHUNK], torch.from_numpy(cases.item[begin : begin + CHUNK])
        scores = lesson.scores(torch.from_numpy(history.recent(user)))
        scores[left_out[user].nonzero()] = -torch.inf
        losses += [float(functional.cross_entropy(by * scores, item, reduction="sum")) for by in SHARPNESS]
    return Teacher(**setting, sharpness=SHARPNESS[int(losses.argmin())])
