"""Simple recommenders to compare the model with. Each is tuned on the validation items of the model's own split."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from training import linear
from training.data import DAY, RatingData
from training.exclusion import rating_matrix
from training.histories import Cases, Flags, Indices, Split
from training.metrics import Scorer, Scores, rank

POPULARITY, EASE, FADING_EASE = "popularity", "EASE", "EASE, fading history"
FADES = (0.98, 0.95, 0.9, 0.8, 0.6)
"""Weights of an item of the history, relative to the item after it."""
EASE_REGULARISATIONS = (100.0, 300.0, 30.0, 1000.0)
"""The usual value comes first. It is the only one that is tried if the work allows one."""
TUNE_CASES = 1_000
"""The most validation items that choose a setting. From more items, this number is drawn at random."""
TUNE_WORK = 4e12
"""The most floating-point operations that the trial of settings may take: a minute or two on two cores. With a limit of
time, two runs on the same data could choose different settings."""
RECENT_DAYS = 30.0


@dataclass(frozen=True)
class Tuned:
    """A baseline with the setting of the best validation NDCG, fitted to the ratings that the test cases know."""

    scorer: Scorer
    setting: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Baselines:
    """Fitted baselines by name, in the order of the report. `notes` has a line for each one that was left out, with the
    reason."""

    by_name: Mapping[str, Tuned]
    notes: tuple[str, ...]


def baselines(data: RatingData, parts: Split) -> Baselines:
    """Returns the baselines, tuned on the split's validation items and fitted for its test items."""
    tune = sample(parts.validation, seed=0)
    found = {POPULARITY: Tuned(_popularity(data, parts.test))}
    if data.dated:
        found[f"{POPULARITY}, {RECENT_DAYS:g} days"] = Tuned(_recent_popularity(data, parts.test))
    found["item-kNN"] = _best(_neighbours, _NEIGHBOURS, data, tune, parts.test)
    notes = []
    if len(data.items) <= linear.FACTORED_MAX_ITEMS:
        found |= _ease(data, tune, parts.test)
        if len(data.items) > linear.EASE_MAX_ITEMS:
            notes.append(f"EASE is of {linear.FACTORS} factors: {len(data.items):,} items")
    else:
        notes.append(f"EASE is left out: {len(data.items):,} items, {linear.FACTORED_MAX_ITEMS:,} at most")
    return Baselines(found, tuple(notes))


def sample(cases: Cases, seed: int, most: int = TUNE_CASES) -> Cases:
    """Returns all cases, or `most` of them drawn at random."""
    if len(cases.user) <= most:
        return cases
    some = np.sort(np.random.default_rng(seed).choice(len(cases.user), most, replace=False))
    return replace(cases, user=cases.user[some], item=cases.item[some])


_Fit = Callable[..., Scorer]
_NEIGHBOURS = tuple(
    {"only_liked": liked, "neighbours": neighbours, "shrinkage": shrinkage}
    for liked, neighbours, shrinkage in product((True, False), (100, 20, 200), (10.0, 50.0))
)


def _best(fit: _Fit, settings: tuple[Mapping[str, Any], ...], data: RatingData, tune: Cases, test: Cases) -> Tuned:
    def ndcg(setting: Mapping[str, Any]) -> float:
        return _ndcg(fit(data, tune, **setting), tune, data)

    best = max(settings, key=ndcg) if len(tune.user) else settings[0]
    return Tuned(fit(data, test, **best), best)


def _ndcg(scorer: Scorer, cases: Cases, data: RatingData) -> float:
    return float(rank(scorer, cases, data).ndcg.mean()) if len(cases.user) else 0.0


def _popularity(data: RatingData, cases: Cases) -> Scorer:
    counts = np.bincount(data.item[cases.known & data.liked], minlength=len(data.items)).astype(np.float32)
    return lambda chunk: np.tile(counts, (len(chunk), 1))


def _recent_popularity(data: RatingData, cases: Cases) -> Scorer:
    """Counts the likes of the `RECENT_DAYS` before a case. Items with the same count are ordered by all likes."""
    assert data.time is not None, "only asked for where ratings have a time"
    known = np.flatnonzero(cases.known & data.liked)
    known = known[np.argsort(data.time[known], kind="stable")]
    time, item, n_items = data.time[known], data.item[known], len(data.items)
    ever = np.bincount(item, minlength=n_items) / (1.0 + len(item))
    asked = cases.times(data)
    first, end = np.searchsorted(time, asked - RECENT_DAYS * DAY), np.searchsorted(time, asked)

    def score(chunk: Indices) -> Scores:
        scores, counts, begin, stop = np.empty((len(chunk), n_items), dtype=np.float32), np.zeros(n_items), 0, 0
        for row in np.argsort(asked[chunk], kind="stable"):  # the window moves forward only
            counts += np.bincount(item[stop : end[chunk[row]]], minlength=n_items)
            counts -= np.bincount(item[begin : first[chunk[row]]], minlength=n_items)
            begin, stop = int(first[chunk[row]]), int(end[chunk[row]])
            scores[row] = counts + ever
        return scores

    return score


def _neighbours(data: RatingData, cases: Cases, *, only_liked: bool, neighbours: int, shrinkage: float) -> Scorer:
    liked = rating_matrix(data, _chosen(data, cases, only_liked))
    return _scorer(liked, linear.neighbour_weights(liked, neighbours, shrinkage), cases)


def _ease(data: RatingData, tune: Cases, test: Cases) -> dict[str, Tuned]:
    """Returns EASE. If ratings have a time, also EASE with a fading history: the same weights, but recent items count
    more."""
    fades = (1.0, *FADES) if data.time is not None else (1.0,)
    found = {}
    for only_liked, regularisation in _ease_settings(data, len(tune.user) * len(fades)):
        weights = _ease_weights(data, tune, only_liked, regularisation)
        for fade in fades:
            ndcg = _ndcg(_fading(data, tune, weights, only_liked, fade), tune, data)
            found[only_liked, regularisation, fade] = ndcg
    named = {EASE: (1.0,)} | ({FADING_EASE: fades} if len(fades) > 1 else {})
    best = {
        name: max((key for key in found if key[2] in allowed), key=found.__getitem__) for name, allowed in named.items()
    }
    # Both mostly need the same weights, and each set of weights costs an inverse.
    for_test = {key[:2]: _ease_weights(data, test, *key[:2]) for key in best.values()}
    return {name: _fitted_ease(data, test, for_test[key[:2]], *key) for name, key in best.items()}


def _fitted_ease(
    data: RatingData,
    test: Cases,
    weights: linear.Ease,
    only_liked: bool,
    regularisation: float,
    fade: float,
) -> Tuned:
    setting = {"only_liked": only_liked, "regularisation": regularisation, "fade": fade}
    return Tuned(_fading(data, test, weights, only_liked, fade), setting)


def _ease_settings(data: RatingData, scored: int) -> Iterator[tuple[bool, float]]:
    """Yields as many settings as `TUNE_WORK` allows, at least one.

    An inverse takes n³ operations. Factors take some passes over the ratings. The scores of one user take history (or
    factors) × items."""
    history, n_items = len(data.user) / len(data.users), len(data.items)
    if n_items <= linear.EASE_MAX_ITEMS:
        work = n_items**3 + 2.0 * scored * history * n_items
    else:
        work = linear.FACTORS * (20.0 * len(data.user) + 10.0 * linear.FACTORS * n_items + 2.0 * scored * n_items)
    liked = (True, False) if (~data.liked).any() else (True,)
    settings = [(only, regularisation) for regularisation in EASE_REGULARISATIONS for only in liked]
    yield from settings[: max(1, int(TUNE_WORK / work))]


def _ease_weights(data: RatingData, cases: Cases, only_liked: bool, regularisation: float) -> linear.Ease:
    return linear.ease(rating_matrix(data, _chosen(data, cases, only_liked)), regularisation)


def _fading(data: RatingData, cases: Cases, weights: linear.Ease, only_liked: bool, fade: float) -> Scorer:
    seen = linear.fading_matrix(data, _chosen(data, cases, only_liked), fade)
    return lambda chunk: weights.score(seen[cases.user[chunk]])


def _chosen(data: RatingData, cases: Cases, only_liked: bool) -> Flags:
    return cases.known & data.liked if only_liked else cases.known


def _scorer(seen: sparse.csr_matrix, weights: sparse.csr_matrix, cases: Cases) -> Scorer:
    return lambda chunk: (seen[cases.user[chunk]] @ weights).toarray().astype(np.float32)
