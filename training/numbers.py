"""Finds a column's scale, and the numbers that are outliers, such as a sentinel for "unknown"."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.features import MAX_NUMBER

FAR = 1e6
"""A value that is this many spreads away from the median is an outlier: no shop's real figures reach so far."""
WIDEST = 10.0
"""The largest scale, in spreads. Outliers make a standard deviation so large that all other values look the same."""
FLOAT32_STEP = 2.0**-23
"""The relative distance between neighbouring 32-bit floats."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """The range and scale of a column's numbers: (value - `mean`) / `scale` within [`low`, `high`]; values outside are
    missing."""

    mean: float = 0.0
    scale: float = 1.0
    low: float = -MAX_NUMBER
    high: float = MAX_NUMBER
    constant: bool = False
    """True if 32-bit floats cannot tell the values apart; then all of them are read as the mean."""


NO_NUMBERS = Range()


def range_of(values: Numbers) -> Range:
    """Returns the range of a column (n,), NaN where a value is missing, without its outliers."""
    told = values[~np.isnan(values)]
    low, high = -MAX_NUMBER, MAX_NUMBER
    while len(told):
        # The range only gets narrower: an outlier stays one, wherever the median of the other values is.
        low, high = _narrowed(low, high, _rounded(told))
        near = told[(_rounded(told) >= low) & (_rounded(told) <= high)]
        if len(near) == len(told):
            return _scaled(told, low, high)
        told = near
    return NO_NUMBERS


def without_far(values: Numbers, scale: Range) -> Numbers:
    """Returns the values (n,), with NaN, which the towers read as missing, for those outside of the range."""
    return np.where((_rounded(values) < scale.low) | (_rounded(values) > scale.high), np.nan, values)


def _scaled(told: Numbers, low: float, high: float) -> Range:
    known = _rounded(told)
    _, spread = _middle(known)
    mean, scale = float(known.mean()), float(known.std())
    if scale > WIDEST * spread:
        mean, scale = float(np.clip(mean, *np.quantile(known, [0.25, 0.75]))), WIDEST * spread
    least = max(abs(mean) * FLOAT32_STEP, float(np.finfo(np.float32).tiny))
    if scale < least:
        # A scale of 1 around the mean would enlarge the error of the rounding to 32 bits.
        return Range(mean, max(1.0, 1e3 * least), low, high, constant=bool(told.min() < told.max()))
    return Range(mean, scale, low, high)


def _narrowed(low: float, high: float, known: Numbers) -> tuple[float, float]:
    """Returns limits as 32-bit floats, which the towers compare."""
    median, spread = _middle(known)
    if spread == 0.0:
        return _float32(low), _float32(high)
    return _float32(max(low, median - FAR * spread)), _float32(min(high, median + FAR * spread))


def _rounded(values: Numbers) -> Numbers:
    """Rounds values as the towers read them: below the smallest 32-bit float is zero."""
    with np.errstate(under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _float32(value: float) -> float:
    return float(np.float32(value))


def _middle(known: Numbers) -> tuple[float, float]:
    """Returns the median and the spread: the distance between the quartiles or, if most values are the same, the median
    distance of the others from it."""
    low, median, high = map(float, np.quantile(known, [0.25, 0.5, 0.75]))
    others = np.abs(known[known != median] - median)
    return median, (high - low) or (float(np.median(others)) if len(others) else 0.0)
