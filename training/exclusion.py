"""Finds the items that are not recommended to a user again, for what is measured and for what is published."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy import sparse

from contracts.artifacts import MAX_EXCLUDED_ITEMS
from contracts.dataset import Exclude
from training.data import DAY, RatingData
from training.histories import Cases, Flags


def excluded(data: RatingData, known: Flags, now: npt.NDArray[np.float64] | None = None) -> sparse.csr_matrix:
    """Returns (n_users, n_items): 1 where the `known` ratings exclude an item from a user's recommendations.

    `exclude_days` count back from `now` (n_users,); if it is not given, from the latest rating.
    """
    serving = data.dataset.serving
    chosen = known & (serving.exclude is not Exclude.NONE)
    if serving.exclude_days is not None and data.time is not None:
        end = np.full(len(data.users), _latest(data)) if now is None else now
        chosen &= data.time > end[data.user] - serving.exclude_days * DAY
    return rating_matrix(data, _most_recent(data, chosen))


def excluded_from(data: RatingData, cases: Cases) -> sparse.csr_matrix:
    """Returns the same for the users of cases, each at the time of its held-out rating."""
    if data.time is None:
        return excluded(data, cases.known)
    now = np.full(len(data.users), _latest(data))
    now[cases.user] = cases.times(data)
    return excluded(data, cases.known, now)


def rating_matrix(data: RatingData, known: Flags) -> sparse.csr_matrix:
    """Returns (n_users, n_items): 1 where a user has rated an item."""
    shape = (len(data.users), len(data.items))
    ones = np.ones(int(known.sum()), dtype=np.float32)
    return sparse.csr_matrix((ones, (data.user[known], data.item[known])), shape=shape)


def _latest(data: RatingData) -> float:
    """Returns the time of the latest rating, at most now: one that is dated in the future would let every item come
    back."""
    assert data.time is not None, "only asked for where ratings have a time"
    return min(float(data.time.max()), datetime.now(UTC).timestamp() * 1e6)


def _most_recent(data: RatingData, chosen: Flags) -> Flags:
    """Selects, among the chosen ratings, each user's latest `MAX_EXCLUDED_ITEMS`."""
    rows = np.flatnonzero(chosen)  # by user, oldest first
    ends = np.searchsorted(data.user[rows], data.user[rows], side="right")
    kept = np.zeros_like(chosen)
    kept[rows[ends - np.arange(len(rows)) <= MAX_EXCLUDED_ITEMS]] = True
    return kept
