"""Joins the towers and the linear part, with the share that is best on validation."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from training import linear_part, scoring, teacher
from training.baselines import EASE, FADING, NEIGHBOURS, Baselines, Linear, sample
from training.data import RatingData
from training.fit import Inputs, Settings
from training.histories import Flags, Indices, Split, histories
from training.linear_part import LinearPart
from training.metrics import Scores, rank, standard_error
from training.model import TwoTower
from training.teacher import Lesson, Teacher

MOST_ASKED = 20_000
"""The most validation items that compare two linear parts; of more, as many are drawn at random."""
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


@dataclass(frozen=True)
class Pupil:
    """A linear part that knows the training ratings, and the lesson that taught it."""

    lesson: Lesson
    part: LinearPart


def find_teacher(data: RatingData, parts: Split, rivals: Baselines, settings: Settings) -> tuple[Blend, Pupil | None]:
    """Makes EASE the teacher of a linear part, if it can teach one; or item-kNN, where its pupil is better on the
    validation items by more than a standard error. 64 numbers cannot hold all that EASE knows of many items."""
    candidates = _candidates(rivals)
    reason = ""
    if settings.similarity != "cosine":
        reason = "a linear part needs the similarity cosine"
    elif settings.linear_dim < 1:
        reason = "linear_dim leaves no number for a linear part"
    elif not candidates:
        reason = "EASE, which teaches the linear part, is left out"
    elif not len(parts.validation.user):
        reason = "no validation item to choose its share by"
    if reason:
        return Blend(None, reason), None
    few, many = sample(parts.validation, settings.seed), sample(parts.validation, settings.seed, MOST_ASKED)
    history, best, best_ndcg = histories(data, many.known), None, np.empty(0)
    for each in candidates:
        lesson = teacher.find(data, few, each.setting, each.fade)  # few.known are the training ratings
        pupil = Pupil(lesson, linear_part.fit(data, parts.train, lesson, settings))
        ndcg = rank(scoring.linear_scorer(pupil.part, history, many.user), many, data).ndcg
        if best is None or (ndcg - best_ndcg).mean() > standard_error(ndcg - best_ndcg):
            best, best_ndcg = pupil, ndcg
    assert best is not None, "there is a candidate"
    return Blend(best.lesson.teacher), best


def _candidates(rivals: Baselines) -> list[Linear]:
    """Returns EASE, and item-kNN if that is not clearly worse on the validation items: by two standard errors."""
    tuned = [rivals.by_name.get(name + FADING) or rivals.by_name.get(name) for name in (EASE, NEIGHBOURS)]
    ease, neighbours = (each.linear if each else None for each in tuned)
    if ease is None or neighbours is None:
        return []
    lead = ease.ndcg - neighbours.ndcg
    return [ease] if lead.size and lead.mean() > 2 * standard_error(lead) else [ease, neighbours]


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
