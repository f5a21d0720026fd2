"""Metrics over the full ranking: every item that would be served to a user is a candidate, none are sampled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data import RatingData
from training.exclusion import excluded_from
from training.histories import Cases, Flags, Indices

K = 10
NDCG = f"ndcg@{K}"
"""The name of NDCG among the figures of a summary."""
ERROR = "standard_error"
"""The name of the standard error of the mean NDCG; the true mean is within two of them with a probability of 95 %."""
CHUNK = 1024
"""The users that are ranked at once; memory is bounded by CHUNK × items."""

Scores = npt.NDArray[np.float32]
Scorer = Callable[[Indices], Scores]
"""Takes positions of cases (n,); returns a score for each case and item (n, n_items), higher is better."""


@dataclass(frozen=True)
class Ranking:
    """The ranking of each case: the held-out item's rank (1 is best; ties count half), and the K items at the top."""

    rank: npt.NDArray[np.float64]
    top: Indices

    @property
    def ndcg(self) -> npt.NDArray[np.float64]:
        """Returns (n,) NDCG@K: with one relevant item, 1 / log2(1 + rank) within the top K, else 0."""
        return np.where(self.rank <= K, 1.0 / np.log2(1.0 + self.rank), 0.0)


def rank(scorer: Scorer, cases: Cases, data: RatingData, exclude: bool = True) -> Ranking:
    """Ranks the items for each case, without those that `[serving] exclude` keeps from its user.

    With `exclude` false all items are ranked, which shows the exclusion's effect.
    """
    ranks, tops = [np.empty(0)], [np.empty((0, min(K, len(data.items))), dtype=np.int64)]
    for chunk, scores in _chunks(scorer, cases, data, exclude):
        target = scores[np.arange(len(chunk)), cases.item[chunk]][:, None]
        ranks.append((scores > target).sum(1) + ((scores == target).sum(1) - 1) / 2 + 1)
        best = np.argpartition(-scores, min(K, scores.shape[1] - 1), axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        tops.append(np.take_along_axis(best, order, 1))
    return Ranking(np.concatenate(ranks), np.concatenate(tops))


def _chunks(scorer: Scorer, cases: Cases, data: RatingData, exclude: bool) -> Iterator[tuple[Indices, Scores]]:
    left_out = excluded_from(data, cases)
    for begin in range(0, len(cases.user), CHUNK):
        chunk = np.arange(begin, min(begin + CHUNK, len(cases.user)))
        scores = np.array(scorer(chunk), dtype=np.float32)
        if exclude:
            scores[left_out[cases.user[chunk]].nonzero()] = -np.inf
        yield chunk, scores


def among(chosen: Flags, scorer: Scorer) -> Scorer:
    """Ranks the chosen items (n_items,) only."""
    return lambda chunk: np.where(chosen, scorer(chunk), -np.inf).astype(np.float32)


def gini(counts: npt.NDArray[Any]) -> float:
    """Returns the Gini coefficient of how often each item is recommended (n_items,)."""
    ordered, n = np.sort(counts), len(counts)
    if not ordered.sum():
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * ordered.sum()))


def figure(values: Mapping[str, float], name: str) -> str:
    """Returns a figure of a summary as text; NDCG with its standard error."""
    error = f" ± {values[ERROR]:.4f}" if name == NDCG and ERROR in values else ""
    return f"{values.get(name, float('nan')):.4f}{error}"


def standard_error(values: npt.NDArray[np.float64]) -> float:
    """Returns the standard error of the mean of values (n,); 0 if there are too few."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def summary(ranking: Ranking, popularity: npt.NDArray[np.float64]) -> dict[str, float | int]:
    """Returns the means over cases. `popularity` (n_items,) is each item's share of the known ratings.

    Gini: 0 if every item is recommended equally often, 1 if one item has all recommendations. Coverage: the share of
    items that are recommended to anybody. Novelty: the mean of -log2(popularity) over the recommended items, in bits
    (Castells et al., "Novelty and Diversity in Recommender Systems", 2015).
    """
    if not len(ranking.rank):
        return {"cases": 0}
    hits = float((ranking.rank <= K).mean())
    floor = popularity[popularity > 0].min() / 2  # an item that nobody has rated yet
    return {
        "cases": len(ranking.rank),
        NDCG: float(ranking.ndcg.mean()),
        ERROR: standard_error(ranking.ndcg),
        f"recall@{K}": hits,  # one item is held out for each user, so recall is 0 or 1
        f"hit_rate@{K}": hits,
        "gini": gini(np.bincount(ranking.top.ravel(), minlength=len(popularity))),
        "coverage": len(np.unique(ranking.top)) / len(popularity),
        "novelty": float(-np.log2(np.maximum(popularity[ranking.top], floor)).mean()),
    }
