"""Finds the numbers of a column that cannot be meant, such as a sentinel for "unknown", and the column's scale."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.features import MAX_NUMBER

FAR = 1e6
"""A value this many spreads away from the median is not meant as a number: no shop's figures reach so far."""
WIDEST = 10.0
"""The most spreads that a scale may be. Outliers make a standard deviation larger, and all other values the same."""
FLOAT32_STEP = 2.0**-23
"""The relative distance between neighbouring 32-bit floats."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """How a column's numbers are read: (value - `mean`) / `scale` within [`low`, `high`], as missing outside of it."""

    mean: float = 0.0
    scale: float = 1.0
    low: float = -MAX_NUMBER
    high: float = MAX_NUMBER
    constant: bool = False
    """32-bit floats cannot tell the values apart: all of them are read as the mean."""


NO_NUMBERS = Range()


def without_far(values: Numbers) -> tuple[Numbers, int]:
    """The values (n,) with those missing (NaN) that lie absurdly far from the others, and how many these are."""
    kept, found = _rounded(values), 0
    while True:
        low, high = _limits(kept[~np.isnan(kept)])
        far = (kept < low) | (kept > high)
        if not far.any():
            return np.where(np.isnan(kept), np.nan, values), found
        found += int(far.sum())
        kept[far] = np.nan


def range_of(values: Numbers) -> Range:
    """The range of a column (n,), NaN where a value is missing. Every value that `without_far` keeps is in it."""
    known = _rounded(values)[~np.isnan(values)]
    if not len(known):
        return Range()
    low, high = _limits(known)
    _, spread = _middle(known)
    mean, scale = float(known.mean()), float(known.std())
    if scale > WIDEST * spread:
        mean, scale = float(np.clip(mean, *np.quantile(known, [0.25, 0.75]))), WIDEST * spread
    least = max(abs(mean) * FLOAT32_STEP, float(np.finfo(np.float32).tiny))
    if scale < least:
        # A scale of 1 around the mean would blow up what the rounding to 32 bits adds.
        return Range(mean, max(1.0, 1e3 * least), low, high, constant=bool(np.nanmin(values) < np.nanmax(values)))
    return Range(mean, scale, low, high)


def _rounded(values: Numbers) -> Numbers:
    """As the towers read them: below the smallest 32-bit float is zero."""
    with np.errstate(under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _limits(known: Numbers) -> tuple[float, float]:
    if not len(known):
        return -MAX_NUMBER, MAX_NUMBER
    median, spread = _middle(known)
    if spread == 0.0:
        return -MAX_NUMBER, MAX_NUMBER
    return max(-MAX_NUMBER, median - FAR * spread), min(MAX_NUMBER, median + FAR * spread)


def _middle(known: Numbers) -> tuple[float, float]:
    """The median, and the distance between the quartiles; where most values are the same, the others' median distance
    from it."""
    low, median, high = map(float, np.quantile(known, [0.25, 0.5, 0.75]))
    others = np.abs(known[known != median] - median)
    return median, (high - low) or (float(np.median(others)) if len(others) else 0.0)
