"""Training examples. The model predicts a rated item from the user's history before it; if ratings have no time, from
the user's other likes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contracts.artifacts import MAX_RECENT_ITEMS
from training.data import RatingData
from training.histories import Flags, Indices


@dataclass(frozen=True)
class Forget:
    """Shares of the input that training hides at random, so that the model also learns to predict without it."""

    items: float
    """Share of recent items."""
    history: float
    """Share of examples without any recent item, as for a new user."""


@dataclass(frozen=True)
class Batch:
    """`user`, `target`, `weight` (n,); `known`, `recent` (n, at most MAX_RECENT_ITEMS) items, most recent first, -1 for
    none.

    `known` is the user's history before the target. `recent` is the part of it that the model sees. `left_out` (n, k),
    -1 for none, are items that do not count as wrong answers: the history, and if ratings have no time, all other items
    that the user rated, liked or not.
    """

    user: Tensor
    target: Tensor
    weight: Tensor
    known: Tensor
    recent: Tensor
    left_out: Tensor


class Examples:
    """The known ratings as examples. A rating below liked has the weight `disliked_weight`; a liked one has weight
    1."""

    def __init__(self, data: RatingData, known: Flags, disliked_weight: float) -> None:
        self._ordered, self._n_users = data.time is not None, len(data.users)
        chosen = known & (data.liked | (disliked_weight > 0))
        self._user, self._item, self._looked_at = data.user[chosen], data.item[chosen], data.looked_at[chosen]
        self._weight = np.where(data.liked[chosen], 1.0, disliked_weight).astype(np.float32)
        self._rated = _Rated(data.user[known], data.item[known], len(data.users))

    def __len__(self) -> int:
        return len(self._user)

    def batches(self, size: int, forget: Forget, random: np.random.Generator) -> Iterator[Batch]:
        """Yields all examples once, in a random order."""
        order = (
            np.arange(len(self._user)) if self._ordered else np.lexsort((random.random(len(self._user)), self._user))
        )
        user, item, looked_at = self._user, self._item[order], self._looked_at[order]
        past = _Past(user[looked_at], item[looked_at], self._n_users)
        # The number of history items, of all users, before each example: the end of its own history.
        end: Indices = np.cumsum(looked_at) - looked_at
        shuffled = random.permutation(len(user))
        for begin in range(0, len(shuffled), size):
            rows = shuffled[begin : begin + size]
            if self._ordered:
                known = past.before(user[rows], end[rows])
            else:
                known = past.others(user[rows], end[rows], looked_at[rows])
            hidden = random.random(known.shape) < forget.items
            hidden |= (random.random(len(rows)) < forget.history)[:, None]
            recent = _packed(np.where(hidden, -1, known))
            left_out = known if self._ordered else self._rated.others(user[rows], item[rows])
            arrays = (user[rows], item[rows], self._weight[order][rows], known, recent, left_out)
            yield Batch(*map(torch.from_numpy, arrays))

    def endless(self, size: int, forget_items: float, seed: int) -> Iterator[Batch]:
        """Yields all examples again and again, each time in another order. It ends only if there is no example."""
        random = np.random.default_rng(seed)
        while len(self):
            yield from self.batches(size, Forget(forget_items, 0.0), random)


class _Past:
    """The items of all histories, one user after the other."""

    def __init__(self, user: Indices, item: Indices, n_users: int) -> None:
        self._item = np.append(item, -1)  # never empty
        self._start = np.searchsorted(user, np.arange(n_users + 1))

    def before(self, user: Indices, end: Indices) -> Indices:
        position = end[:, None] - 1 - np.arange(MAX_RECENT_ITEMS)
        return self._at(position, position >= self._start[user][:, None])

    def others(self, user: Indices, end: Indices, looked_at: Flags) -> Indices:
        """Reads the user's history backwards from `end`, then from its last item on; the example itself is left out."""
        first, count = self._start[user][:, None], np.diff(self._start)[user][:, None]
        position = end[:, None] - 1 - np.arange(MAX_RECENT_ITEMS)
        there = np.arange(MAX_RECENT_ITEMS) < count - looked_at[:, None]
        return self._at(np.where(position < first, position + count, position), there)

    def _at(self, position: Indices, there: Flags) -> Indices:
        return np.where(there, self._item[np.where(there, position, 0)], -1)


class _Rated:
    """The items that each user rated: of these, only the target may count as an answer."""

    def __init__(self, user: Indices, item: Indices, n_users: int) -> None:
        self._item = np.append(item, -1)  # never empty
        self._start = np.searchsorted(user, np.arange(n_users + 1))

    def others(self, user: Indices, answer: Indices) -> Indices:
        """Returns each user's rated items without the answer: (n, the largest number of one user), -1 for none."""
        count = np.diff(self._start)[user]
        position = np.arange(count.max(initial=1))
        there = position < count[:, None]
        items = self._item[np.where(there, self._start[user][:, None] + position, 0)]
        return np.where(there & (items != answer[:, None]), items, -1)


def _packed(recent: Indices) -> Indices:
    """Moves the items that are not hidden to the front, in their order, and drops empty columns (one column stays)."""
    order = np.argsort(recent < 0, axis=1, kind="stable")
    longest = max(1, int((recent >= 0).sum(1).max(initial=0)))
    return np.take_along_axis(recent, order, axis=1)[:, :longest]
