"""Simple recommenders to compare the model with. Each is tuned on the validation items of the model's own split."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from training import linear
from training.data import DAY, RatingData
from training.histories import Cases, Indices, Split
from training.linear import EaseSetting, NeighbourSetting, Setting
from training.metrics import Scorer, Scores, rank

POPULARITY, NEIGHBOURS, EASE = "popularity", "item-kNN", "EASE"
FADING = ", fading history"
"""Ends the name of a linear model to which recent items say more."""
FADES = (0.98, 0.95, 0.9, 0.8, 0.6)
"""Weights of an item of the history, relative to the item after it."""
EASE_REGULARISATIONS = (10.0, 30.0, 100.0, 300.0, 1000.0)
USUAL_REGULARISATION = 3.0
"""A good regularisation of EASE, divided by the mean number of an item's ratings: Amazon's beauty products 2,
MovieLens-100K 5."""
TUNE_CASES = 1_000
"""The most validation items that choose a setting. From more items, this number is drawn at random."""
TUNE_WORK = 8e12
"""The most floating-point operations that the trial of settings may take: a minute or two on two cores. With a limit of
time, two runs on the same data could choose different settings."""
RECENT_DAYS = 30.0


@dataclass(frozen=True)
class Linear:
    """The setting of a linear model, and its NDCG on each of the validation items that chose it (n,)."""

    setting: Setting
    fade: float
    ndcg: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tuned:
    """A baseline with the setting of the best validation NDCG, fitted to the ratings that the test cases know."""

    scorer: Scorer
    linear: Linear | None = None

    @property
    def setting(self) -> Mapping[str, Any]:
        return {} if self.linear is None else {**asdict(self.linear.setting), "fade": self.linear.fade}


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
    found |= _linear(NEIGHBOURS, _neighbour_settings(data), data, tune, parts.test)
    notes = []
    if len(data.items) <= linear.FACTORED_MAX_ITEMS:
        found |= _linear(EASE, _ease_settings(data, len(tune.user)), data, tune, parts.test)
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


def _linear(name: str, settings: Iterable[Setting], data: RatingData, tune: Cases, test: Cases) -> dict[str, Tuned]:
    """Returns a linear model. If ratings have a time, also with a fading history: the same weights, but recent items
    count more."""
    fades = _fades(data)
    tried: list[Linear] = []
    for setting in settings:
        weights = linear.fit(data, tune.known, setting)
        for fade in fades:
            ranking = rank(_fading(data, tune, weights, setting, fade), tune, data)
            tried.append(Linear(setting, fade, ranking.ndcg))
    kinds = {name: [each for each in tried if each.fade == 1.0]} | ({name + FADING: tried} if len(fades) > 1 else {})
    best = {name: max(kind, key=lambda each: each.ndcg.sum()) for name, kind in kinds.items()}
    # Both mostly need the same weights, and each set of weights of EASE costs an inverse.
    for_test = {setting: linear.fit(data, test.known, setting) for setting in {each.setting for each in best.values()}}
    return {
        name: Tuned(_fading(data, test, for_test[found.setting], found.setting, found.fade), found)
        for name, found in best.items()
    }


def _fades(data: RatingData) -> tuple[float, ...]:
    return (1.0, *FADES) if data.time is not None else (1.0,)


def _fading(data: RatingData, cases: Cases, weights: linear.Weights, setting: Setting, fade: float) -> Scorer:
    seen = linear.fading_matrix(data, linear.read(data, cases.known, setting), fade)
    return lambda chunk: weights.score(seen[cases.user[chunk]])


def _neighbour_settings(data: RatingData) -> list[Setting]:
    return [
        NeighbourSetting(only_liked, neighbours, shrinkage)
        for only_liked, neighbours, shrinkage in product(_liked(data), (100, 20, 200), (10.0, 50.0))
    ]


def _ease_settings(data: RatingData, cases: int) -> list[Setting]:
    """Returns as many settings as `TUNE_WORK` allows, at least one: first the regularisation next to
    `USUAL_REGULARISATION` times the mean number of an item's ratings.

    An inverse takes n³ operations. Factors take some passes over the ratings. The scores of one user take history (or
    factors) × items."""
    history, n_items, scored = len(data.user) / len(data.users), len(data.items), cases * len(_fades(data))
    if n_items <= linear.EASE_MAX_ITEMS:
        work = n_items**3 + 2.0 * scored * history * n_items
    else:
        work = linear.FACTORS * (20.0 * len(data.user) + 10.0 * linear.FACTORS * n_items + 2.0 * scored * n_items)
    usual = USUAL_REGULARISATION * len(data.user) / n_items
    nearest = sorted(EASE_REGULARISATIONS, key=lambda value: abs(np.log(value / usual)))
    settings: list[Setting] = [EaseSetting(only, value) for value in nearest for only in _liked(data)]
    return settings[: max(1, int(TUNE_WORK / work))]


def _liked(data: RatingData) -> tuple[bool, ...]:
    return (True, False) if (~data.liked).any() else (True,)
