"""Joins the towers and the linear part, with the share that is best on validation."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from training import scoring, teacher
from training.baselines import EASE, FADING_EASE, Baselines, sample
from training.data import RatingData
from training.fit import Inputs, Settings
from training.histories import Flags, Indices, Split, histories
from training.linear_part import LinearPart
from training.metrics import Scores, rank
from training.model import TwoTower
from training.teacher import Lesson, Teacher

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""The shares of the linear part that are tried. The towers keep at least a fifth, because only they serve a user
without a history."""


@dataclass(frozen=True)
class Blend:
    """The way to join the parts. `share` 0 means the towers alone. Without a teacher, `reason` says why there is
    none."""

    teacher: Teacher | None
    reason: str = ""
    share: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    """Share → the mean validation NDCG of this share and the shares next to it."""

    def lesson(self, data: RatingData, known: Flags) -> Lesson | None:
        """Returns the answers of a teacher that knows the `known` ratings; None without a teacher."""
        return None if self.teacher is None else Lesson(self.teacher, data, known)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_teacher(data: RatingData, parts: Split, rivals: Baselines, settings: Settings) -> Blend:
    """Makes the tuned EASE the teacher of a linear part, if it can teach one."""
    ease = rivals.by_name.get(FADING_EASE) or rivals.by_name.get(EASE)
    reason = ""
    if settings.similarity != "cosine":
        reason = "a linear part needs the similarity cosine"
    elif settings.linear_dim < 1:
        reason = "linear_dim leaves no number for a linear part"
    elif ease is None:
        reason = "EASE, which teaches the linear part, is left out"
    elif not len(parts.validation.user):
        reason = "no validation item to choose its share by"
    if ease is None or reason:
        return Blend(None, reason)
    return Blend(teacher.find(data, parts.validation, ease.setting))


def choose(
    towers: TwoTower, part: LinearPart, inputs: Inputs, data: RatingData, parts: Split, settings: Settings
) -> tuple[float, dict[str, float]]:
    """Returns the share with the best validation NDCG, and the NDCG of every share.

    The NDCG of a share is the mean of its own and its neighbours': the difference of two neighbours rests on a few
    cases, so it is chance.
    """
    cases = sample(parts.validation, settings.seed)
    history = histories(data, cases.known)
    by_towers = scoring.scorer(towers, inputs, history, cases.user)
    by_part = scoring.linear_scorer(part, history, cases.user)

    def ndcg(share: float) -> float:
        def score(chunk: Indices) -> Scores:
            return (1.0 - share) * by_towers(chunk) + share * by_part(chunk)

        return float(rank(score, cases, data).ndcg.mean())

    found = np.pad([ndcg(share) for share in SHARES], 1, mode="edge")
    means = dict(zip(SHARES, (found[:-2] + found[1:-1] + found[2:]) / 3, strict=True))
    return max(means, key=means.__getitem__), {f"{share:g}": float(mean) for share, mean in means.items()}
