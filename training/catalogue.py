"""Chooses the candidates of a training step's softmax: the whole catalogue, or a sample of a large one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.histories import Indices


@dataclass(frozen=True)
class Step:
    """The items whose vectors a step needs.

    `items` (n,) has the softmax's `n_candidates` first, and recent items after them. `place` (n_items + 1,) is an
    item's position in `items`; its last entry, which an index of -1 finds, is 0. `log_drawn` (n_candidates,) is the log
    of the probability with which each candidate was drawn; None if all items are candidates.
    """

    items: Tensor
    n_candidates: int
    place: Tensor
    log_drawn: Tensor | None

    def among(self, items: Tensor) -> Tensor:
        """Returns (n, n_candidates): True where the candidate is one of the row's `items` (n, k), -1 for none."""
        column = self.place.clamp(max=self.n_candidates)
        column[-1] = self.n_candidates
        flags = torch.zeros(len(items), self.n_candidates + 1, dtype=torch.bool)
        return flags.scatter_(1, column[items], True)[:, :-1]


class Catalogue:
    """The rated items. `counts` (n_items,) are their ratings, `size` is the most items in a softmax."""

    def __init__(self, counts: Indices, size: int) -> None:
        self.rated = torch.from_numpy(counts > 0)
        self._all = torch.nonzero(self.rated).squeeze(1)
        self._popularity = torch.from_numpy(counts / counts.sum())
        self._size = size

    def step(self, target: Tensor, recent: Tensor) -> Step:
        """Returns the candidates, with the targets among them, and the recent items (-1 for none), which are rated
        items too."""
        if len(self._all) <= self._size:
            return Step(self._all, len(self._all), self._places(self._all), None)
        candidates, log_drawn = self.draw(target)
        others = torch.unique(recent[(recent >= 0) & ~torch.isin(recent, candidates)])
        items = torch.cat([candidates, others])
        return Step(items, len(candidates), self._places(items), log_drawn)

    def draw(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the candidates (the targets, and items drawn at random), and the log of the probability of each to be
        drawn.

        A popular item is drawn more often, so its score would be pushed down more often. Subtracting that logarithm
        from the score corrects this (Yi et al., "Sampling-Bias-Corrected Neural Modeling", 2019).
        """
        drawn = torch.multinomial(self._popularity, self._size, replacement=True)
        candidates = torch.unique(torch.cat([drawn, target]))
        missed = (len(drawn) + len(target)) * torch.log1p(-self._popularity[candidates])
        return candidates, torch.log(-torch.expm1(missed)).float()

    def _places(self, items: Tensor) -> Tensor:
        # An item that the step does not need gets a position behind all others, which `among` ignores.
        place = torch.full((len(self.rated) + 1,), len(items))
        place[items] = torch.arange(len(items))
        place[-1] = 0
        return place
