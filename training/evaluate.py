"""Measures a model beside popularity, item-kNN and EASE on what the split held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import scoring
from training.baselines import baselines
from training.data import RatingData
from training.fit import Inputs
from training.histories import Cases, histories
from training.metrics import K, Ranking, Scorer, rank, summary
from training.model import TwoTower
from training.served import Served
from training.served import scorer as served_scorer

NDCG = f"ndcg@{K}"
COLD_ITEM_RATINGS = 5
"""An item with at most so many known ratings counts as cold."""


def scorers(model: TwoTower, inputs: Inputs, data: RatingData, cases: Cases) -> dict[str, Scorer]:
    """The model as it serves known users, and the baselines."""
    history = histories(data, cases.known)
    return {"model": scoring.scorer(model, inputs, history, cases.user), **baselines(data, cases)}


def evaluate(model: TwoTower, inputs: Inputs, data: RatingData, cases: Cases) -> dict[str, Any]:
    """`all` cases, `cold_items` (rarely rated) and `cold_users` (the same cases, with what the user liked hidden).

    `serving` says what was left out of the rankings: what is left out of recommendations.
    """
    counts = np.bincount(data.item[cases.known], minlength=len(data.items))
    popularity = counts / max(1, counts.sum())
    rankings = {name: rank(scorer, cases, data) for name, scorer in scorers(model, inputs, data, cases).items()}
    cold = counts[cases.item] <= COLD_ITEM_RATINGS
    unseen = scoring.scorer(model, inputs, histories(data, cases.known), cases.user, forget=True)
    hidden = {"model": rank(unseen, cases, data), "popularity": rankings["popularity"]}
    return {
        "serving": data.dataset.serving.to_dict(),
        "all": _summaries(rankings, popularity),
        "cold_items": _summaries({name: _of(ranking, cold) for name, ranking in rankings.items()}, popularity),
        "cold_users": _summaries(hidden, popularity),
        "lift_over_popularity": _lift(rankings["model"], rankings["popularity"]),
    }


def as_served(final: Scorer, active: Served, data: RatingData, cases: Cases) -> dict[str, Any]:
    """A new version and the active one on the same cases, each as it answers once it is served.

    Both may have been trained on the very ratings that the cases ask for: the figures compare the two with each other
    and with nothing else.
    """
    popularity = np.bincount(data.item[cases.known], minlength=len(data.items)) / max(1, cases.known.sum())
    rankings = {"model": rank(final, cases, data), "active": rank(served_scorer(active, data, cases), cases, data)}
    return {"version": active.manifest.version, **_summaries(rankings, popularity)}


def version_metrics(version: Served, data: RatingData, cases: Cases) -> dict[str, Any]:
    """A published version beside the baselines."""
    popularity = np.bincount(data.item[cases.known], minlength=len(data.items)) / max(1, cases.known.sum())
    candidates = {"model": served_scorer(version, data, cases), **baselines(data, cases)}
    rankings = {name: rank(scorer, cases, data) for name, scorer in candidates.items()}
    return {"serving": data.dataset.serving.to_dict(), "all": _summaries(rankings, popularity)}


def _summaries(rankings: Mapping[str, Ranking], popularity: Any) -> dict[str, Any]:
    return {name: summary(ranking, popularity) for name, ranking in rankings.items()}


def _of(ranking: Ranking, chosen: Any) -> Ranking:
    return Ranking(ranking.rank[chosen], ranking.top[chosen])


def _lift(model: Ranking, popularity: Ranking) -> dict[str, float]:
    """The mean difference of NDCG to popularity over the cases, and its standard error."""
    difference = model.ndcg - popularity.ndcg
    if len(difference) < 2:
        return {"difference": 0.0, "standard_error": 0.0}
    return {
        "difference": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / len(difference) ** 0.5),
    }
