"""The users' histories, and their split: the last liked item is for the test, the one before it for validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.artifacts import MAX_RECENT_ITEMS
from training.data import RatingData

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Histories:
    """Items of all users' histories, in one array `item` (n,), oldest first (no time: lowest rating first).

    User `u` has `item[start[u]:start[u + 1]]`; `user` (n,) is each one's user.
    """

    user: Indices
    item: Indices
    start: Indices

    def recent(self, users: Indices, limit: int = MAX_RECENT_ITEMS) -> Indices:
        """Returns (len(users), limit) item indices, most recent first, -1 where a user has no more."""
        position = self.start[users + 1][:, None] - 1 - np.arange(limit)
        there = position >= self.start[users][:, None]
        return np.where(there, self.item[np.maximum(position, 0)], -1) if len(self.item) else np.full(there.shape, -1)

    def counts(self) -> Indices:
        """Returns (n_users,): the number of items in each user's history."""
        return np.diff(self.start)


@dataclass(frozen=True)
class Cases:
    """Held-out liked items, one for each user: `item[k]` of `user[k]`, to be ranked among the items that `exclusion`
    leaves."""

    user: Indices
    item: Indices
    known: Flags
    """(n_ratings,) True for the ratings that are known when the cases are asked."""

    def times(self, data: RatingData) -> npt.NDArray[np.float64]:
        """(n_cases,) when the held-out items were rated. Ratings must have a time."""
        assert data.time is not None
        pairs = data.user * len(data.items) + data.item
        by_pair = np.argsort(pairs, kind="stable")
        place = np.searchsorted(pairs, self.user * len(data.items) + self.item, sorter=by_pair)
        return data.time[by_pair[place]]


@dataclass(frozen=True)
class Split:
    """`train` (n_ratings,) is True for the ratings that are trained on."""

    train: Flags
    validation: Cases
    test: Cases


def histories(data: RatingData, known: Flags | None = None) -> Histories:
    """Returns the histories of the known ratings (default: all)."""
    chosen = data.looked_at if known is None else data.looked_at & known
    user = data.user[chosen]
    start = np.searchsorted(user, np.arange(len(data.users) + 1))
    return Histories(user, data.item[chosen], start.astype(np.int64))


def split(data: RatingData, seed: int) -> Split:
    """Holds out each user's last liked item and the one before it; without a time, two at random.

    A user needs three liked items to be tested. Ratings that a user gave after a held-out item are held out too, since
    nobody knew them at that time.
    """
    random = np.random.default_rng(seed)
    when = np.arange(len(data.user)) if data.time is not None else random.permutation(len(data.user))
    order = np.lexsort((when, data.user))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    liked = order[data.liked[order]]
    last = liked[np.append(np.diff(data.user[liked]) != 0, True)]
    n_liked = np.bincount(data.user[liked], minlength=len(data.users))
    position_in_liked = np.flatnonzero(np.append(np.diff(data.user[liked]) != 0, True))
    enough = n_liked[data.user[last]] >= 3
    test, validation = last[enough], liked[position_in_liked[enough] - 1]
    return Split(
        train=_before(data, place, validation),
        validation=Cases(data.user[validation], data.item[validation], _before(data, place, validation)),
        test=Cases(data.user[test], data.item[test], _before(data, place, test)),
    )


def _before(data: RatingData, place: Indices, held_out: Indices) -> Flags:
    """Returns the ratings that come before their user's held-out one, and all ratings of users without one."""
    limit = np.full(len(data.users), len(place), dtype=np.int64)
    limit[data.user[held_out]] = place[held_out]
    earlier: Flags = place < limit[data.user]
    return earlier
