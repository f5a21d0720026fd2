"""Measures recommendations of items that no training has seen: a tenth is held out, with all its ratings."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from functions.shared.serving.tower import ItemTower
from training import onnx_export, served
from training.data import RatingData
from training.entities import EntityTable
from training.fit import Inputs
from training.histories import Cases, Flags
from training.joined import Model
from training.metrics import K, among, rank, summary
from training.served import Served

SHARE = 0.1
LEAST_ITEMS = 5
"""New items below which nothing is measured."""


def hold_out(data: RatingData, seed: int) -> Flags:
    """(n_items,) a tenth of the items that have a rating, by lot."""
    rated = np.unique(data.item)
    hidden = np.zeros(len(data.items), dtype=bool)
    hidden[np.random.default_rng(seed).choice(rated, round(SHARE * len(rated)), replace=False)] = True
    return hidden


def measure(make: Callable[[Flags], Model], data: RatingData, inputs: Inputs, seed: int) -> dict[str, Any]:
    """Figures of each user's last liked item that is held out: `all` to be found among all items, `new` among those
    held out; `chance` is the NDCG of an order by lot among these. `make` trains a model on the ratings of the others.

    Without a feature of items, or with too few items, there is the number of `items` alone: 0.
    """
    hidden = hold_out(data, seed)
    if not data.dataset.items.features or hidden.sum() < LEAST_ITEMS:
        return {"items": 0}
    cases = _cases(data, hidden)
    version = _served(make(~hidden[data.item]), data, inputs, hidden)
    scorer = served.scorer(version, data, cases)
    popularity = np.bincount(data.item, minlength=len(data.items)) / len(data.item)
    found = {
        "all": summary(rank(scorer, cases, data), popularity),
        "new": summary(rank(among(hidden, scorer), cases, data), popularity),
    }
    places = np.arange(1, min(K, hidden.sum()) + 1)
    return {"items": int(hidden.sum()), "chance": float((1 / np.log2(1 + places)).sum() / hidden.sum()), **found}


def _cases(data: RatingData, hidden: Flags) -> Cases:
    """Each user's last liked item of the hidden ones; known are the ratings of the others, before it where there is a
    time."""
    liked = np.flatnonzero(data.liked & hidden[data.item])
    last = liked[np.append(np.diff(data.user[liked]) != 0, True)] if len(liked) else liked
    limit = np.full(len(data.users), len(data.user))
    if data.time is not None:
        limit[data.user[last]] = last
    before = np.arange(len(data.user)) < limit[data.user]
    return Cases(data.user[last], data.item[last], before & ~hidden[data.item])


def _served(model: Model, data: RatingData, inputs: Inputs, hidden: Flags) -> Served:
    """The version, with the vectors that its published item tower gives the hidden items."""
    version = served.of(model, inputs, data)
    content = onnx_export.item_tower(model.items, inputs.shape.item_encodings)
    chosen = np.flatnonzero(hidden)
    vectors = ItemTower(content, data.dataset, version.dim).vectors(_rows(data.items, chosen))
    keys = [data.items.ids[item] for item in chosen]
    return replace(version, items={**version.items, **dict(zip(keys, vectors, strict=True))})


def _rows(items: EntityTable, chosen: Any) -> list[dict[str, Any]]:
    return [{name: values[item] for name, values in items.columns.items()} for item in chosen]
