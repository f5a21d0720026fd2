"""Joins the two towers and the linear part in one vector, with the parts side by side.

With unit vectors t of the towers and l of the linear part, and the share w of the linear part, v = [√(1-w) t, √w l] has
length 1. The cosine of an item and a user is then (1-w) times that of the towers plus w times that of the linear part.

An item that nobody has rated has both parts by its features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.content import Content
from training.linear_part import LinearPart
from training.model import ItemTower, TwoTower, UserTower


class JoinedItems(nn.Module):
    """Has the interface of `ItemTower`, and returns (n, dim + linear dim)."""

    def __init__(self, tower: ItemTower, linear: LinearPart, content: Content, share: float) -> None:
        super().__init__()
        self.tower, self.linear, self.content, self.share = tower, linear, content, share

    def forward(self, features: Sequence[Tensor], items: Tensor) -> Tensor:
        linear = torch.where(self.linear.rated[items] > 0, self.linear.items(items), self.content(features))
        return self._join(self.tower(features, items), linear)

    def unseen(self, features: Sequence[Tensor]) -> Tensor:
        """(n, dim) the vectors of items of these features that no training has seen."""
        return self._join(self.tower.unseen(features), self.content(features))

    def _join(self, tower: Tensor, linear: Tensor) -> Tensor:
        return torch.cat([(1.0 - self.share) ** 0.5 * tower, self.share**0.5 * linear], dim=-1)


class JoinedUsers(nn.Module):
    """Has the interface of `UserTower`, and reads the joined vectors of recent items."""

    def __init__(self, tower: UserTower, linear: LinearPart, dim: int, share: float) -> None:
        super().__init__()
        self.tower, self.linear, self.dim, self.share = tower, linear, dim, share

    def forward(self, features: Sequence[Tensor], recent: Tensor, mask: Tensor) -> Tensor:
        own, other = (1.0 - self.share) ** 0.5, self.share**0.5
        tower = self.tower(features, recent[:, :, : self.dim] / own, mask)
        linear = self.linear.users(recent[:, :, self.dim :] / other, mask)
        return functional.normalize(torch.cat([own * tower, other * linear], dim=-1), dim=-1)


class Joined(nn.Module):
    """A trained model of both parts; `share` is the linear part's, above 0 and below 1."""

    def __init__(self, towers: TwoTower, linear: LinearPart, content: Content, share: float) -> None:
        super().__init__()
        self.items = JoinedItems(towers.items, linear, content, share)
        self.users = JoinedUsers(towers.users, linear, towers.dim, share)
        self.dim = towers.dim + linear.dim


Model = TwoTower | Joined
