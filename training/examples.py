"""Training examples: predict a rated item from its user's history before it (no time: from the user's other likes)."""

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
    """Shares of the input that are hidden at random in training, so that the model learns to do without."""

    items: float
    """Share of recent items."""
    history: float
    """Share of examples without any recent item: a user never seen."""


@dataclass(frozen=True)
class Batch:
    """`user`, `target`, `weight` (n,); `known`, `recent` (n, at most MAX_RECENT_ITEMS) items, most recent first, -1 for
    none.

    `known` is the user's history before the target; `recent` what of it the model is shown. `left_out` (n, k) are no
    wrong answers, -1 for none: the history, and without a time all else that the user rated, liked or not.
    """

    user: Tensor
    target: Tensor
    weight: Tensor
    known: Tensor
    recent: Tensor
    left_out: Tensor


class Examples:
    """The known ratings as examples; a rating below liked counts as `disliked_weight` of a liked one."""

    def __init__(self, data: RatingData, known: Flags, disliked_weight: float) -> None:
        self._ordered, self._n_users = data.time is not None, len(data.users)
        chosen = known & (data.liked | (disliked_weight > 0))
        self._user, self._item, self._looked_at = data.user[chosen], data.item[chosen], data.looked_at[chosen]
        self._weight = np.where(data.liked[chosen], 1.0, disliked_weight).astype(np.float32)
        self._rated = _Rated(data.user[known], data.item[known], len(data.users))

    def __len__(self) -> int:
        return len(self._user)

    def batches(self, size: int, forget: Forget, random: np.random.Generator) -> Iterator[Batch]:
        """All examples once, in a random order."""
        order = (
            np.arange(len(self._user)) if self._ordered else np.lexsort((random.random(len(self._user)), self._user))
        )
        user, item, looked_at = self._user, self._item[order], self._looked_at[order]
        past = _Past(user[looked_at], item[looked_at], self._n_users)
        # How much of all users' histories lies before each example: where its own ends.
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
        """All examples again and again, each time in another order; without an end, unless there is no example."""
        random = np.random.default_rng(seed)
        while len(self):
            yield from self.batches(size, Forget(forget_items, 0.0), random)


class _Past:
    """Items of the histories, one user's after the other's."""

    def __init__(self, user: Indices, item: Indices, n_users: int) -> None:
        self._item = np.append(item, -1)  # never empty
        self._start = np.searchsorted(user, np.arange(n_users + 1))

    def before(self, user: Indices, end: Indices) -> Indices:
        position = end[:, None] - 1 - np.arange(MAX_RECENT_ITEMS)
        return self._at(position, position >= self._start[user][:, None])

    def others(self, user: Indices, end: Indices, looked_at: Flags) -> Indices:
        """Goes round the user's history from `end` backwards, up to the example itself where that is one of them."""
        first, count = self._start[user][:, None], np.diff(self._start)[user][:, None]
        position = end[:, None] - 1 - np.arange(MAX_RECENT_ITEMS)
        there = np.arange(MAX_RECENT_ITEMS) < count - looked_at[:, None]
        return self._at(np.where(position < first, position + count, position), there)

    def _at(self, position: Indices, there: Flags) -> Indices:
        return np.where(there, self._item[np.where(there, position, 0)], -1)


class _Rated:
    """All that each user rated: what is never asked for but the one item that is the answer."""

    def __init__(self, user: Indices, item: Indices, n_users: int) -> None:
        self._item = np.append(item, -1)  # never empty
        self._start = np.searchsorted(user, np.arange(n_users + 1))

    def others(self, user: Indices, answer: Indices) -> Indices:
        """(n, the most that one of them rated) items without the answer, -1 for none."""
        count = np.diff(self._start)[user]
        position = np.arange(count.max(initial=1))
        there = position < count[:, None]
        items = self._item[np.where(there, self._start[user][:, None] + position, 0)]
        return np.where(there & (items != answer[:, None]), items, -1)


def _packed(recent: Indices) -> Indices:
    """Moves what is left to the front, in its order, and cuts columns that nobody needs (one stays)."""
    order = np.argsort(recent < 0, axis=1, kind="stable")
    longest = max(1, int((recent >= 0).sum(1).max(initial=0)))
    return np.take_along_axis(recent, order, axis=1)[:, :longest]
