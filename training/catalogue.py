"""The items that a training step tells the target from: all of them, or a sample of a large catalogue."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.histories import Indices


@dataclass(frozen=True)
class Step:
    """`items` (n,) that a step needs the vectors of: the softmax's `n_candidates` first, recent items after them.

    `place` (n_items + 1,) is where an item stands among them; its last entry, for an index of -1, is the first item's.
    `log_drawn` (n_candidates,) is the log of the probability by which each came in, None where all are in.
    """

    items: Tensor
    n_candidates: int
    place: Tensor
    log_drawn: Tensor | None

    def among(self, items: Tensor) -> Tensor:
        """(n, n_candidates) whether the candidate is one of the row's `items` (n, k), -1 for none."""
        column = self.place.clamp(max=self.n_candidates)
        column[-1] = self.n_candidates
        flags = torch.zeros(len(items), self.n_candidates + 1, dtype=torch.bool)
        return flags.scatter_(1, column[items], True)[:, :-1]


class Catalogue:
    """Items that somebody has rated; `counts` (n_items,) says how often, `size` how many a softmax may hold."""

    def __init__(self, counts: Indices, size: int) -> None:
        self.rated = torch.from_numpy(counts > 0)
        self._all = torch.nonzero(self.rated).squeeze(1)
        self._popularity = torch.from_numpy(counts / counts.sum())
        self._size = size

    def step(self, target: Tensor, recent: Tensor) -> Step:
        """Candidates, the targets among them, and the recent items (-1 for none), which have been rated, too."""
        if len(self._all) <= self._size:
            return Step(self._all, len(self._all), self._places(self._all), None)
        candidates, log_drawn = self.draw(target)
        others = torch.unique(recent[(recent >= 0) & ~torch.isin(recent, candidates)])
        items = torch.cat([candidates, others])
        return Step(items, len(candidates), self._places(items), log_drawn)

    def draw(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Items by chance and the targets, and the log of the probability by which each came in.

        A popular item is drawn more often, and would be pushed away more often: taking that logarithm off its score
        makes up for it (Yi et al., "Sampling-Bias-Corrected Neural Modeling", 2019).
        """
        drawn = torch.multinomial(self._popularity, self._size, replacement=True)
        candidates = torch.unique(torch.cat([drawn, target]))
        missed = (len(drawn) + len(target)) * torch.log1p(-self._popularity[candidates])
        return candidates, torch.log(-torch.expm1(missed)).float()

    def _places(self, items: Tensor) -> Tensor:
        # An item that the step does not need stands past the candidates, where nothing looks for it.
        place = torch.full((len(self.rated) + 1,), len(items))
        place[items] = torch.arange(len(items))
        place[-1] = 0
        return place
