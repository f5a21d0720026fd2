"""Feature columns as the towers read them: vocabularies and standard scalers, fitted on the training data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contracts.columns import Column, Kind
from training.entities import EntityTable
from training.numbers import NO_NUMBERS, Range

MIN_COUNT = 3
"""The fewest users or items of a known value. A rarer value counts as unknown: it would identify users instead of
describing them."""


@dataclass(frozen=True)
class Encoding:
    """The encoding of a column: a vocabulary, where `vocabulary[k]` has index k + 1 (0: missing or unknown), or the
    range of its numbers."""

    column: Column
    vocabulary: tuple[str, ...] = ()
    numbers: Range = NO_NUMBERS


def fit(table: EntityTable, columns: tuple[Column, ...]) -> tuple[Encoding, ...]:
    """Fits an encoding for each feature column, in the columns' order."""
    return tuple(_fit_column(table, column) for column in columns)


def encode(table: EntityTable, encodings: tuple[Encoding, ...]) -> list[Tensor]:
    """Returns a tensor for each column: categorical int64 (n,), tags int64 (n, longest), number float32 (n,) as it
    is."""
    return [_encode_column(table, encoding) for encoding in encodings]


def _fit_column(table: EntityTable, column: Column) -> Encoding:
    values = table.columns[column.name]
    if column.kind.is_number:
        return Encoding(column, numbers=table.ranges[column.name])
    counts: Counter[str] = Counter()
    for value in values:
        counts.update(set(value) if column.kind is Kind.TAGS else {value})
    del counts[""]
    return Encoding(column, vocabulary=tuple(sorted(text for text, count in counts.items() if count >= MIN_COUNT)))


def _encode_column(table: EntityTable, encoding: Encoding) -> Tensor:
    values = table.columns[encoding.column.name]
    if encoding.column.kind.is_number:
        return torch.from_numpy(values.astype(np.float32))
    index = index_of(encoding)
    if encoding.column.kind is not Kind.TAGS:
        return torch.tensor([index.get(text, 0) for text in values], dtype=torch.int64)
    longest = max(1, max(map(len, values), default=1))
    rows = [[index.get(tag, 0) for tag in tags] + [0] * (longest - len(tags)) for tags in values]
    return torch.tensor(rows, dtype=torch.int64)


def index_of(encoding: Encoding) -> Mapping[str, int]:
    return {text: number for number, text in enumerate(encoding.vocabulary, start=1)}
