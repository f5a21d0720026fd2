"""Compares a model with the best baseline by groups of cases, and shows its worst misses and the exclusion's effect."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data import RatingData
from training.exclusion import rating_matrix
from training.histories import Cases, Flags, histories
from training.metrics import ERROR, Ranking, Scorer, rank, standard_error

MISSES = 10
SHOWN = 5
"""The most items in a line of a miss."""
HISTORY_BOUNDS = (5, 10, 20, 50, 200)
POPULARITY_BOUNDS = (6, 21, 51, 201, 1001)


def where(model: Ranking, best: Ranking, data: RatingData, cases: Cases) -> list[dict[str, Any]]:
    """Returns both NDCGs and their difference, for users with short and long histories and for rare and popular
    items."""
    lengths = histories(data, cases.known).counts()[cases.user]
    ratings = np.bincount(data.item[cases.known], minlength=len(data.items))[cases.item]
    parts = [("items in the history", *each) for each in _between(lengths, HISTORY_BOUNDS)]
    parts += [("ratings of the item", *each) for each in _between(ratings, POPULARITY_BOUNDS)]
    return [{"by": by, "part": part, **_beside(model, best, chosen)} for by, part, chosen in parts if chosen.any()]


def misses(model: Ranking, data: RatingData, cases: Cases) -> list[dict[str, Any]]:
    """Returns the cases whose item was ranked lowest, as ids: the user's latest items, the held-out one, and those
    recommended."""
    recent = histories(data, cases.known).recent(cases.user, SHOWN)
    return [
        {
            "user": data.users.ids[cases.user[case]],
            "recent": _ids(data, recent[case]),
            "wanted": data.items.ids[cases.item[case]],
            "rank": float(model.rank[case]),
            "recommended": _ids(data, model.top[case, :SHOWN]),
        }
        for case in np.argsort(-model.rank, kind="stable")[:MISSES]
    ]


def repeated(scorer: Scorer, data: RatingData, cases: Cases) -> float:
    """Returns the share of recommendations that would be items which the user has rated, if no item were excluded."""
    top = rank(scorer, cases, data, exclude=False).top
    if not top.size:
        return 0.0
    rated = rating_matrix(data, cases.known)
    return float(np.mean([rated[user, items].sum() / len(items) for user, items in zip(cases.user, top, strict=True)]))


def _between(values: npt.NDArray[np.int64], bounds: tuple[int, ...]) -> Iterator[tuple[str, Flags]]:
    low = 0
    for high in bounds:
        yield f"{low}–{high - 1}", (values >= low) & (values < high)
        low = high
    yield f"{low} or more", values >= low


def _beside(model: Ranking, best: Ranking, chosen: Flags) -> dict[str, Any]:
    difference = model.ndcg[chosen] - best.ndcg[chosen]
    return {
        "cases": int(chosen.sum()),
        "model": float(model.ndcg[chosen].mean()),
        "best": float(best.ndcg[chosen].mean()),
        "difference": float(difference.mean()),
        ERROR: standard_error(difference),
    }


def _ids(data: RatingData, items: npt.NDArray[np.int64]) -> list[str]:
    return [data.items.ids[item] for item in items if item >= 0]
