"""The items that a training step tells the target from: all of them, or a sample of a large catalogue."""

import torch
from torch import Tensor

from training.histories import Indices


class Catalogue:
    """Items that somebody has rated; `counts` (n_items,) says how often, `size` how many a softmax may hold."""

    def __init__(self, counts: Indices, size: int) -> None:
        self.rated = torch.from_numpy(counts > 0)
        self._all = torch.nonzero(self.rated).squeeze(1)
        self._popularity = torch.from_numpy(counts / counts.sum())
        self._size = size

    def candidates(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Sorted items, the targets among them, and the log of the probability by which each came in.

        A popular item is drawn more often, and would be pushed away more often: taking that logarithm off its score
        makes up for it (Yi et al., "Sampling-Bias-Corrected Neural Modeling", 2019).
        """
        if len(self._all) <= self._size:
            return self._all, torch.zeros(len(self._all))
        drawn = torch.multinomial(self._popularity, self._size, replacement=True)
        candidates = torch.unique(torch.cat([drawn, target]))
        missed = (len(drawn) + len(target)) * torch.log1p(-self._popularity[candidates])
        return candidates, torch.log(-torch.expm1(missed)).float()

    def among(self, candidates: Tensor, items: Tensor) -> Tensor:
        """(n, len(candidates)) whether the candidate is one of the row's `items` (n, k), -1 for none."""
        column = torch.full((len(self.rated) + 1,), len(candidates))
        column[candidates] = torch.arange(len(candidates))
        flags = torch.zeros(len(items), len(candidates) + 1, dtype=torch.bool)
        return flags.scatter_(1, column[items], True)[:, :-1]  # an index of -1 is the row past the end
