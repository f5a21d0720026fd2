"""Training examples: predict a rated item from what its user liked before (no time: from the user's other likes)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.data import RatingData
from training.histories import Flags, Indices
from training.model import MAX_RECENT


@dataclass(frozen=True)
class Forget:
    """What is hidden at random in training, so that the model learns to do without."""

    items: float
    """Share of recent items."""
    history: float
    """Share of examples without any recent item: a user never seen."""


@dataclass(frozen=True)
class Batch:
    """`user`, `target`, `weight` (n,); `liked`, `recent` (n, at most MAX_RECENT) items, most recent first, -1 for none.

    `liked` is what the user liked before; `recent` what of it the model is shown.
    """

    user: Tensor
    target: Tensor
    weight: Tensor
    liked: Tensor
    recent: Tensor


class Examples:
    """The known ratings as examples; a rating below liked counts as `disliked_weight` of a liked one."""

    def __init__(self, data: RatingData, known: Flags, disliked_weight: float) -> None:
        self._ordered, self._n_users = data.time is not None, len(data.users)
        chosen = known & (data.liked | (disliked_weight > 0))
        self._user, self._item, self._liked = data.user[chosen], data.item[chosen], data.liked[chosen]
        self._weight = np.where(self._liked, 1.0, disliked_weight).astype(np.float32)

    def __len__(self) -> int:
        return len(self._user)

    def batches(self, size: int, forget: Forget, random: np.random.Generator) -> Iterator[Batch]:
        """All examples once, in a random order."""
        order = (
            np.arange(len(self._user)) if self._ordered else np.lexsort((random.random(len(self._user)), self._user))
        )
        user, item, is_liked = self._user, self._item[order], self._liked[order]
        likes = _Likes(user[is_liked], item[is_liked], self._n_users)
        # How many likes of all users lie before each example: where its user's history ends.
        end: Indices = np.cumsum(is_liked) - is_liked
        shuffled = random.permutation(len(user))
        for begin in range(0, len(shuffled), size):
            rows = shuffled[begin : begin + size]
            if self._ordered:
                liked = likes.before(user[rows], end[rows])
            else:
                liked = likes.others(user[rows], end[rows], is_liked[rows])
            hidden = random.random(liked.shape) < forget.items
            hidden |= (random.random(len(rows)) < forget.history)[:, None]
            recent = _packed(np.where(hidden, -1, liked))
            arrays = (user[rows], item[rows], self._weight[order][rows], liked, recent)
            yield Batch(*map(torch.from_numpy, arrays))


class _Likes:
    """Liked items by user, one user after the other."""

    def __init__(self, user: Indices, item: Indices, n_users: int) -> None:
        self._item = np.append(item, -1)  # never empty
        self._start = np.searchsorted(user, np.arange(n_users + 1))

    def before(self, user: Indices, end: Indices) -> Indices:
        position = end[:, None] - 1 - np.arange(MAX_RECENT)
        return self._at(position, position >= self._start[user][:, None])

    def others(self, user: Indices, end: Indices, is_liked: Flags) -> Indices:
        """Goes round the user's likes from `end` backwards, up to the example itself where that is one of them."""
        first, count = self._start[user][:, None], np.diff(self._start)[user][:, None]
        position = end[:, None] - 1 - np.arange(MAX_RECENT)
        there = np.arange(MAX_RECENT) < count - is_liked[:, None]
        return self._at(np.where(position < first, position + count, position), there)

    def _at(self, position: Indices, there: Flags) -> Indices:
        return np.where(there, self._item[np.where(there, position, 0)], -1)


def _packed(recent: Indices) -> Indices:
    """Moves what is left to the front, in its order, and cuts columns that nobody needs (one stays)."""
    order = np.argsort(recent < 0, axis=1, kind="stable")
    longest = max(1, int((recent >= 0).sum(1).max(initial=0)))
    return np.take_along_axis(recent, order, axis=1)[:, :longest]
