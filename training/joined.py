"""Joins the two towers and the linear part in one vector, with the parts side by side.

With unit vectors t of the towers and l of the linear part, and the share w of the linear part, v = [√(1-w) t, √w l] has
length 1. The cosine of an item and a user is then (1-w) times that of the towers plus w times that of the linear part.

An item that nobody has rated has no linear part. One more number, which only such items have, keeps their length at 1;
without it the cosine would scale up their towers' part.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.linear_part import LinearPart
from training.model import ItemTower, TwoTower, UserTower


class JoinedItems(nn.Module):
    """Has the interface of `ItemTower`, and returns (n, dim + linear dim + 1)."""

    def __init__(self, tower: ItemTower, linear: LinearPart, share: float) -> None:
        super().__init__()
        self.tower, self.linear, self.share = tower, linear, share

    def forward(self, features: Sequence[Tensor], items: Tensor) -> Tensor:
        return self._join(self.tower(features, items), *self.linear.items(items))

    def unseen(self, features: Sequence[Tensor]) -> Tensor:
        vectors = self.tower.unseen(features)
        nothing = torch.zeros_like(vectors[:, :1])
        return self._join(vectors, nothing.expand(-1, self.linear.dim), nothing + 1.0)

    def _join(self, tower: Tensor, linear: Tensor, unrated: Tensor) -> Tensor:
        own, other = (1.0 - self.share) ** 0.5, self.share**0.5
        return torch.cat([own * tower, other * linear, other * unrated], dim=-1)


class JoinedUsers(nn.Module):
    """Has the interface of `UserTower`, and reads the joined vectors of recent items."""

    def __init__(self, tower: UserTower, linear: LinearPart, dim: int, share: float) -> None:
        super().__init__()
        self.tower, self.linear, self.dim, self.share = tower, linear, dim, share

    def forward(self, features: Sequence[Tensor], recent: Tensor, mask: Tensor) -> Tensor:
        own, other = (1.0 - self.share) ** 0.5, self.share**0.5
        tower = self.tower(features, recent[:, :, : self.dim] / own, mask)
        linear = self.linear.users(recent[:, :, self.dim : -1] / other, mask)
        joined = torch.cat([own * tower, other * linear, torch.zeros_like(tower[:, :1])], dim=-1)
        return functional.normalize(joined, dim=-1)


class Joined(nn.Module):
    """A trained model of both parts; `share` is the linear part's, above 0 and below 1."""

    def __init__(self, towers: TwoTower, linear: LinearPart, share: float) -> None:
        super().__init__()
        self.items = JoinedItems(towers.items, linear, share)
        self.users = JoinedUsers(towers.users, linear, towers.dim, share)
        self.dim = towers.dim + linear.dim + 1


Model = TwoTower | Joined
