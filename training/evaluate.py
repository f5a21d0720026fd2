"""Measures a model beside the baselines on what the split held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import scoring
from training.baselines import POPULARITY, Baselines, baselines
from training.data import RatingData
from training.fit import Inputs
from training.histories import Cases, Split, histories
from training.joined import Model
from training.metrics import ERROR, K, Ranking, Scorer, rank, standard_error, summary
from training.served import Served
from training.served import scorer as served_scorer

NDCG = f"ndcg@{K}"
COLD_ITEM_RATINGS = 5
"""An item with at most so many known ratings counts as cold."""


def evaluate(model: Model, inputs: Inputs, data: RatingData, parts: Split, rivals: Baselines) -> dict[str, Any]:
    """`all` test cases, `cold_items` (rarely rated) and `cold_users` (the same cases, with what the user liked hidden).

    `serving` says what was left out of the rankings: what is left out of recommendations.
    """
    cases = parts.test
    counts = np.bincount(data.item[cases.known], minlength=len(data.items))
    popularity = counts / max(1, counts.sum())
    history = histories(data, cases.known)
    rankings = _rankings(scoring.scorer(model, inputs, history, cases.user), rivals, data, cases)
    cold = counts[cases.item] <= COLD_ITEM_RATINGS
    unseen = scoring.scorer(model, inputs, history, cases.user, forget=True)
    hidden = {"model": rank(unseen, cases, data), POPULARITY: rankings[POPULARITY]}
    return {
        "serving": data.dataset.serving.to_dict(),
        "all": _summaries(rankings, popularity),
        "cold_items": _summaries({name: _of(ranking, cold) for name, ranking in rankings.items()}, popularity),
        "cold_users": _summaries(hidden, popularity),
        "lift_over_popularity": _lift(rankings["model"], rankings[POPULARITY]),
        **_beside(rankings, rivals),
    }


def version_metrics(version: Served, data: RatingData, parts: Split) -> dict[str, Any]:
    """A published version beside the baselines."""
    cases, rivals = parts.test, baselines(data, parts)
    popularity = np.bincount(data.item[cases.known], minlength=len(data.items)) / max(1, cases.known.sum())
    rankings = _rankings(served_scorer(version, data, cases), rivals, data, cases)
    return {
        "serving": data.dataset.serving.to_dict(),
        "all": _summaries(rankings, popularity),
        **_beside(rankings, rivals),
    }


def standing(metrics: Mapping[str, Any]) -> str:
    """Returns a line that says whether the model is behind the best baseline of the same run by more than a standard
    error."""
    lift, results = metrics["lift_over_best"], metrics["all"]
    if not results["model"]["cases"]:
        return "Not measured: there is no held-out item."
    best = lift["baseline"]
    figures = (
        f"{NDCG} {results['model'][NDCG]:.4f} against {results[best][NDCG]:.4f} of the best baseline, {best}: "
        f"{lift['difference']:+.4f} ± {lift['standard_error']:.4f}"
    )
    return f"{'Behind' if lift['difference'] < -lift['standard_error'] else 'Not behind'}: {figures}."


def as_served(final: Scorer, active: Served, data: RatingData, cases: Cases) -> dict[str, Any]:
    """A new version and the active one on the same cases, each as it answers once it is served.

    Both may have been trained on the very ratings that the cases ask for: the figures compare the two with each other
    and with nothing else.
    """
    popularity = np.bincount(data.item[cases.known], minlength=len(data.items)) / max(1, cases.known.sum())
    rankings = {"model": rank(final, cases, data), "active": rank(served_scorer(active, data, cases), cases, data)}
    return {"version": active.manifest.version, **_summaries(rankings, popularity)}


def _rankings(model: Scorer, rivals: Baselines, data: RatingData, cases: Cases) -> dict[str, Ranking]:
    scorers = {"model": model, **{name: tuned.scorer for name, tuned in rivals.by_name.items()}}
    return {name: rank(scorer, cases, data) for name, scorer in scorers.items()}


def _beside(rankings: Mapping[str, Ranking], rivals: Baselines) -> dict[str, Any]:
    """The baselines' settings, what was left out of them, and how far the model is ahead of the best of them."""
    best = max(rivals.by_name, key=lambda name: rankings[name].ndcg.sum())
    return {
        "lift_over_best": {"baseline": best, **_lift(rankings["model"], rankings[best])},
        "baselines": {
            "settings": {name: dict(tuned.setting) for name, tuned in rivals.by_name.items()},
            "notes": list(rivals.notes),
        },
    }


def _summaries(rankings: Mapping[str, Ranking], popularity: Any) -> dict[str, Any]:
    return {name: summary(ranking, popularity) for name, ranking in rankings.items()}


def _of(ranking: Ranking, chosen: Any) -> Ranking:
    return Ranking(ranking.rank[chosen], ranking.top[chosen])


def _lift(model: Ranking, other: Ranking) -> dict[str, float]:
    """The mean difference of NDCG to the other's over the cases, and its standard error."""
    difference = model.ndcg - other.ndcg
    mean = float(difference.mean()) if len(difference) else 0.0
    return {"difference": mean, ERROR: standard_error(difference)}
