"""The two towers and the linear part in one vector: an item's parts side by side, scaled by the linear part's share.

With unit parts t and l, v = [√(1-w) t, √w l] has length 1, and the cosine of an item and a user is (1-w) of that of the
towers and w of that of the linear part. An item that nobody has rated has no linear part; a number that only such items
have keeps its length at 1, for the cosine would make its towers' part longer instead.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.linear_part import LinearPart
from training.model import ItemTower, TwoTower, UserTower


class JoinedItems(nn.Module):
    """Stands for an `ItemTower`; gives (n, dim + linear dim + 1)."""

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
    """Stands for a `UserTower`, over the joined vectors of recent items."""

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
