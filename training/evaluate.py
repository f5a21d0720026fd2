"""Measures a version and the baselines on the split's held-out items, through the code that serves the version."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training import analysis, served
from training.baselines import POPULARITY, Baselines, sample
from training.data import RatingData
from training.histories import Cases, Split
from training.metrics import ERROR, NDCG, Ranking, rank, standard_error, summary
from training.served import Served

COLD_ITEM_RATINGS = 5
"""The most known ratings of a cold item."""
SESSIONS = (1, 3, 10)
"""The numbers of items in a new visitor's session."""
MOST_SESSIONS = 5_000
"""The most cases for sessions and for the exclusion's effect; of more cases, as many are drawn at random."""


def evaluate(version: Served, data: RatingData, parts: Split, rivals: Baselines) -> dict[str, Any]:
    """Returns the metrics of groups of cases: `all` test cases, those of `cold_items` (rarely rated), `cold_users` (all
    cases, with the user's history hidden) and `sessions` (all cases, as a visitor without an account, with the latest
    items only). `serving` is the exclusion under which they were ranked, the same as in serving."""
    cases = parts.test
    counts = np.bincount(data.item[cases.known], minlength=len(data.items))
    popularity = counts / max(1, counts.sum())
    scorers = {name: tuned.scorer for name, tuned in rivals.by_name.items()}
    rankings = {
        name: rank(scorer, cases, data)
        for name, scorer in {"model": served.scorer(version, data, cases), **scorers}.items()
    }
    best = max(rivals.by_name, key=lambda name: rankings[name].ndcg.sum())
    some = sample(cases, seed=0, most=MOST_SESSIONS)
    cold = counts[cases.item] <= COLD_ITEM_RATINGS
    hidden = {
        "model": rank(served.scorer(version, data, cases, limit=0), cases, data),
        POPULARITY: rankings[POPULARITY],
    }
    return {
        "serving": data.dataset.serving.to_dict(),
        "all": _summaries(rankings, popularity),
        "cold_items": _summaries({name: _of(ranking, cold) for name, ranking in rankings.items()}, popularity),
        "cold_users": _summaries(hidden, popularity),
        "sessions": _sessions(version, data, some, popularity),
        "lift_over_popularity": _lift(rankings["model"], rankings[POPULARITY]),
        "lift_over_best": {"baseline": best, **_lift(rankings["model"], rankings[best])},
        "baselines": {
            "settings": {name: dict(tuned.setting) for name, tuned in rivals.by_name.items()},
            "notes": list(rivals.notes),
        },
        "where": analysis.where(rankings["model"], rankings[best], data, cases),
        "misses": analysis.misses(rankings["model"], data, cases),
        "repeated": analysis.repeated(served.scorer(version, data, some), data, some),
    }


def _sessions(version: Served, data: RatingData, cases: Cases, popularity: Any) -> list[dict[str, Any]]:
    return [
        {
            "items": items,
            "features": features,
            **summary(rank(served.scorer(version, data, cases, items, features), cases, data), popularity),
        }
        for items in SESSIONS
        for features in ((True, False) if data.dataset.users.features else (False,))
    ]


def standing(metrics: Mapping[str, Any]) -> str:
    """Returns a line that says whether the model is behind the run's best baseline by more than a standard error."""
    lift, results = metrics["lift_over_best"], metrics["all"]
    if not results["model"]["cases"]:
        return "Not measured: there is no held-out item."
    best = lift["baseline"]
    figures = (
        f"{NDCG} {results['model'][NDCG]:.4f} against {results[best][NDCG]:.4f} of the best baseline, {best}: "
        f"{lift['difference']:+.4f} ± {lift['standard_error']:.4f}"
    )
    return f"{'Behind' if lift['difference'] < -lift['standard_error'] else 'Not behind'}: {figures}."


def as_served(final: Served, active: Served, data: RatingData, cases: Cases) -> dict[str, Any]:
    """Measures a new version and the active one on the same cases, each as it answers when it is served.

    Both may have been trained on the ratings that the cases hold out, so the figures compare the two versions and say
    nothing else.
    """
    popularity = np.bincount(data.item[cases.known], minlength=len(data.items)) / max(1, cases.known.sum())
    versions = {"model": final, "active": active}
    rankings = {name: rank(served.scorer(version, data, cases), cases, data) for name, version in versions.items()}
    return {"version": active.version, **_summaries(rankings, popularity)}


def _summaries(rankings: Mapping[str, Ranking], popularity: Any) -> dict[str, Any]:
    return {name: summary(ranking, popularity) for name, ranking in rankings.items()}


def _of(ranking: Ranking, chosen: Any) -> Ranking:
    return Ranking(ranking.rank[chosen], ranking.top[chosen])


def _lift(model: Ranking, other: Ranking) -> dict[str, float]:
    """Returns the mean difference of NDCG over the cases, and its standard error."""
    difference = model.ndcg - other.ndcg
    mean = float(difference.mean()) if len(difference) else 0.0
    return {"difference": mean, ERROR: standard_error(difference)}
