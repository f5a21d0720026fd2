"""The linear part of items that nobody has rated: a network that reads their features.

It is fitted to the linear part of the items that have ratings, once that is trained. (The towers learn theirs on the
way, by ids that are hidden: DropoutNet, Volkovs et al., "Addressing Cold Start in Recommender Systems", 2017.) On
generated films a network for the towers' part as well was no better, and one that learned to rank took longer.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data import RatingData
from training.features import Encoding
from training.fit import Inputs, Settings
from training.histories import Flags
from training.linear_part import LinearPart
from training.model import FeatureTower

WIDTH = 64
DROPOUT = 0.1
STEPS = 300
LEARNING_RATE = 0.01


class Content(nn.Module):
    """Features → (n, dim) unit vectors; without any feature (dim,), the same for all."""

    def __init__(self, encodings: tuple[Encoding, ...], dim: int) -> None:
        super().__init__()
        self.features = FeatureTower(encodings, WIDTH)
        self.plain = nn.Linear(WIDTH, dim)
        hidden, last = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, dim)
        self.inner = nn.Sequential(nn.LayerNorm(WIDTH), hidden, nn.GELU(), nn.Dropout(DROPOUT), last)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        read = self.features(features)
        return functional.normalize(self.plain(read) + self.inner(read), dim=-1)


def fit(part: LinearPart, inputs: Inputs, data: RatingData, known: Flags, settings: Settings) -> Content:
    """Fits a network to the part's vectors; an item counts by the root of its `known` ratings."""
    torch.manual_seed(settings.seed)
    counts = torch.from_numpy(np.bincount(data.item[known], minlength=len(data.items)))
    items = torch.nonzero(counts).squeeze(1)
    features, weight = [column[items] for column in inputs.items], counts[items].sqrt() / counts[items].sqrt().sum()
    content, wanted = Content(inputs.shape.item_encodings, part.dim), part.items(items).detach()
    optimizer = torch.optim.AdamW(content.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.01, 1.0 - step / STEPS))
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        loss = ((1.0 - (content(features) * wanted).sum(-1)) * weight).sum()
        loss.backward()
        optimizer.step()
        schedule.step()
    return content.eval()
