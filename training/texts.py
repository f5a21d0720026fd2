"""Decides on validation which of the items' texts the model reads: those whose words tell where a new item belongs.

Each item is taken for new once: a network that reads the features of half of the items (`training/content.py`) tells
the linear part of the other half, and the validation items of that half are ranked by it. A text is read if this gets
better by more than a standard error; else its words would only be learned by heart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from contracts.columns import Kind
from training import content, scoring
from training.baselines import sample
from training.data import RatingData
from training.fit import Inputs, Settings
from training.histories import Cases, Flags, Split, histories
from training.linear_part import LinearPart
from training.metrics import among, rank

LEAST_ITEMS = 10
"""Items with a rating below which nothing can be said of new ones."""


@dataclass(frozen=True)
class Texts:
    """The texts that the model does not read, and what reading them is worth."""

    unread: frozenset[str] = frozenset()
    reason: str = ""
    """Why none is read although nothing was measured; empty where it was, or where there is no text."""
    validation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Column → `with` and `without`, the NDCG of items taken for new; the `difference` with its `standard_error`; and
    `read`, whether the model reads it."""

    def to_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "validation": {name: dict(found) for name, found in self.validation.items()}}


def choose(part: LinearPart | None, why_none: str, data: RatingData, parts: Split, settings: Settings) -> Texts:
    """Tries the texts one after the other, each beside those that are read already. Without a linear part, `why_none`
    is the reason for which none is read."""
    columns = [column.name for column in data.dataset.items.features if column.kind is Kind.TEXT]
    if not columns:
        return Texts()
    unread = frozenset(columns)
    if part is None:
        return Texts(unread, f"whether they help is measured by the linear part, and there is none: {why_none}")
    rated = np.unique(data.item[parts.train])
    if len(rated) < LEAST_ITEMS:
        return Texts(unread, f"{LEAST_ITEMS} rated items are needed to tell whether they help, there are {len(rated)}")
    cases = sample(parts.validation, settings.seed)
    best, found = _as_new(part, unread, data, parts, cases, settings), {}
    for name in columns:
        tried = _as_new(part, unread - {name}, data, parts, cases, settings)
        difference, error = float((tried - best).mean()), _error_by_item(tried - best, cases)
        read = difference > error
        found[name] = {
            "with": float(tried.mean()),
            "without": float(best.mean()),
            "difference": difference,
            "standard_error": error,
            "read": read,
        }
        if read:
            best, unread = tried, unread - {name}
    return Texts(unread, validation=found)


def _as_new(
    part: LinearPart, unread: frozenset[str], data: RatingData, parts: Split, cases: Cases, settings: Settings
) -> npt.NDArray[np.float64]:
    """(n_cases,) NDCG among the items of the same half, which are ranked by their features alone."""
    inputs, found = Inputs(data, settings, unread), np.zeros(len(cases.user))
    history = histories(data, cases.known)
    for hidden in _halves(data, parts.train, settings.seed):
        network = content.fit(part, inputs, data, parts.train & ~hidden[data.item], settings)
        with torch.inference_mode():
            vectors = network(inputs.items)
        there = hidden[cases.item]
        those = Cases(cases.user[there], cases.item[there], cases.known)
        scorer = scoring.linear_scorer(part, history, those.user, vectors)
        found[there] = rank(among(hidden, scorer), those, data).ndcg
    return found


def _halves(data: RatingData, known: Flags, seed: int) -> tuple[Flags, Flags]:
    """(n_items,) twice: half of the items that have a known rating, and all others."""
    rated = np.random.default_rng(seed).permutation(np.unique(data.item[known]))
    half = np.zeros(len(data.items), dtype=bool)
    half[rated[: len(rated) // 2]] = True
    return half, ~half


def _error_by_item(difference: npt.NDArray[np.float64], cases: Cases) -> float:
    """Returns the standard error of the mean where cases of one item are not independent: they win or lose together.

    Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference", 2015.
    """
    by_item = np.bincount(cases.item, weights=difference - difference.mean())
    return float(np.sqrt((by_item**2).sum()) / len(difference))
