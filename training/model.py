"""The two towers: items from id and features, users from features and the vectors of their recent items."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.artifacts import MAX_RECENT_ITEMS
from training.features import Encoding


@dataclass(frozen=True)
class Shape:
    """The settings on which the sizes of a model's weights depend."""

    n_items: int
    dim: int
    item_encodings: tuple[Encoding, ...]
    user_encodings: tuple[Encoding, ...]
    ordered: bool
    """True if recent items are in the order of time; without an order, all positions count the same."""
    heads: int = 4
    cosine: bool = True


class ColumnEmbedding(nn.Module):
    """One feature column → (n, dim): a category's vector, the mean of those of tags or words, or a number's
    projection."""

    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, encoding: Encoding, dim: int) -> None:
        super().__init__()
        self.kind = encoding.column.kind
        if self.kind.is_number:
            for name in ("mean", "scale", "low", "high"):
                self.register_buffer(name, torch.tensor(getattr(encoding.numbers, name), dtype=torch.float32))
            self.hidden = nn.Linear(2, dim)
            self.out = nn.Linear(dim, dim, bias=False)
            nn.init.normal_(self.out.weight, std=0.1 * dim**-0.5)
        else:
            self.embedding = nn.Embedding(len(encoding.vocabulary) + 1, dim)
            nn.init.normal_(self.embedding.weight, std=0.1 * dim**-0.5)

    def forward(self, values: Tensor) -> Tensor:
        if self.kind.is_number:
            missing = torch.isnan(values) | (values < self.low) | (values > self.high)
            standard = torch.where(missing, torch.zeros_like(values), (values - self.mean) / self.scale)
            read = torch.stack([standard.clamp(-5.0, 5.0), missing.to(values.dtype)], dim=-1)
            projected: Tensor = self.out(torch.tanh(self.hidden(read)))
            return projected
        if self.kind.is_list and not torch.onnx.is_in_onnx_export():
            # It takes less than half of the time, and holds no vector for each word of each item.
            return functional.embedding_bag(values, self.embedding.weight, padding_idx=0, mode="mean")
        vectors: Tensor = self.embedding(values)
        if self.kind.is_list:
            known = (values > 0).to(vectors.dtype).unsqueeze(-1)
            return (vectors * known).sum(1) / known.sum(1).clamp(min=1.0)
        return vectors


class FeatureTower(nn.Module):
    """Feature columns → (n, dim), the sum of the columns' vectors."""

    def __init__(self, encodings: Sequence[Encoding], dim: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList(ColumnEmbedding(encoding, dim) for encoding in encodings)
        self.bias = nn.Parameter(torch.randn(dim) * 0.1 * dim**-0.5)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        total: Tensor = self.bias
        for column, values in zip(self.columns, features, strict=True):
            total = total + column(values)
        return total


class ItemTower(nn.Module):
    """Id and features → (n_items, dim). An item that was never rated is embedded by its features alone."""

    rated: Tensor

    def __init__(self, shape: Shape, rated: Tensor) -> None:
        super().__init__()
        self.cosine = shape.cosine
        self.ids = nn.Embedding(shape.n_items, shape.dim)
        nn.init.normal_(self.ids.weight, std=shape.dim**-0.5)
        self.features = FeatureTower(shape.item_encodings, shape.dim)
        self.register_buffer("rated", rated.to(torch.float32).unsqueeze(-1))

    def forward(self, features: Sequence[Tensor], items: Tensor, keep_ids: Tensor | None = None) -> Tensor:
        """Returns the vectors of `items` (n,) with the given features. In training, `keep_ids` (n, 1) zeroes some ids,
        so that the features learn to replace them."""
        known = self.rated[items] if keep_ids is None else self.rated[items] * keep_ids
        return self._scaled(self.ids(items) * known + self.features(features))

    def unseen(self, features: Sequence[Tensor]) -> Tensor:
        """Returns (n, dim): the vectors of items that were not in training, by their features."""
        return self._scaled(self.features(features))

    def _scaled(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.cosine else vectors


class UserTower(nn.Module):
    """Features and recent items' vectors → (batch, dim), by attention over the recent items.

    Each user has one query, made of the most recent item and the features, which attends to all recent items, as the
    last position of a self-attention block does (Kang and McAuley, "Self-Attentive Sequential Recommendation", 2018).
    """

    def __init__(self, shape: Shape, dropout: float = 0.2) -> None:
        super().__init__()
        dim, self.heads, self.ordered, self.cosine = shape.dim, shape.heads, shape.ordered, shape.cosine
        self.features = FeatureTower(shape.user_encodings, dim)
        self.width = max(8, dim // shape.heads)
        self.query = nn.Linear(2 * dim, self.heads * self.width)
        self.key = nn.Linear(dim, self.heads * self.width, bias=False)
        self.start = nn.Parameter(torch.full((self.heads,), -2.0))
        slopes = torch.linspace(0.0, 1.0, self.heads).unsqueeze(1) if shape.ordered else torch.zeros(self.heads, 1)
        self.position = nn.Parameter(-slopes * torch.arange(MAX_RECENT_ITEMS).log1p(), requires_grad=shape.ordered)
        self.mix = nn.Linear((self.heads + 1) * dim, dim)
        with torch.no_grad():  # the output begins as the mean of the attended vectors: items and users share one space
            self.mix.weight.copy_(torch.eye(dim).repeat(1, self.heads + 1) / (self.heads + 1))
            self.mix.bias.zero_()
        last = nn.Linear(4 * dim, dim)
        nn.init.normal_(last.weight, std=0.02)
        self.inner = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), last)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Sequence[Tensor], recent: Tensor, mask: Tensor) -> Tensor:
        """recent (batch, n, dim), most recent first; mask (batch, n), 1 where there is an item, 0 where padding."""
        recent, mask = recent[:, :MAX_RECENT_ITEMS], mask[:, :MAX_RECENT_ITEMS]
        if self.ordered:
            latest = recent[:, 0] * mask[:, :1]
        else:
            latest = (mask.unsqueeze(1) @ recent).squeeze(1) / mask.sum(1, keepdim=True).clamp(min=1.0)
        profile = self.features(features) + torch.zeros_like(latest)
        pooled = self.attend(latest, profile, recent, mask)
        vector = profile + self.mix(torch.cat([pooled, latest], dim=-1))
        vector = vector + self.inner(vector)
        return functional.normalize(vector, dim=-1) if self.cosine else vector

    def attend(self, latest: Tensor, profile: Tensor, recent: Tensor, mask: Tensor) -> Tensor:
        """Returns (batch, heads * dim). A start slot takes the attention of a user without items.

        The keys' projection is applied to the one query instead of to all keys: the products are the same, for less
        work.
        """
        query = self.query(torch.cat([latest, profile], dim=-1)).unflatten(-1, (self.heads, self.width))
        key = self.key.weight.view(self.heads, self.width, -1)
        query = torch.einsum("bhw,hwd->bhd", query, key) / self.width**0.5
        logits = query @ recent.transpose(1, 2) + self.position[:, : recent.shape[1]]
        logits = logits + (mask.unsqueeze(1) - 1.0) * 1e9
        start = self.start.view(1, -1, 1) + torch.zeros_like(logits[:, :, :1])
        weights = torch.softmax(torch.cat([logits, start], dim=-1), dim=-1)[:, :, :-1]
        pooled: Tensor = self.dropout(weights) @ recent
        return pooled.flatten(1)


class TwoTower(nn.Module):
    """Both towers and the softmax's inverse temperature."""

    def __init__(self, shape: Shape, rated: Tensor) -> None:
        super().__init__()
        self.shape = shape
        self.items = ItemTower(shape, rated)
        self.users = UserTower(shape)
        self.log_scale = nn.Parameter(torch.tensor(2.5 if shape.cosine else 0.0))

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.shape.dim
