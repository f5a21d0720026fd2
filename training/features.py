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
COMMON = 0.5
"""The share of items above which a word of their texts says nothing: "the", or what all of them are."""
MAX_VOCABULARY = 20_000
"""The most words of a text column: they have 400 bytes each in the item tower's file."""


@dataclass(frozen=True)
class Encoding:
    """The encoding of a column: a vocabulary, where `vocabulary[k]` has index k + 1 (0: missing or unknown), or the
    range of its numbers."""

    column: Column
    vocabulary: tuple[str, ...] = ()
    numbers: Range = NO_NUMBERS


def fit(table: EntityTable, columns: tuple[Column, ...], unread: frozenset[str] = frozenset()) -> tuple[Encoding, ...]:
    """Fits an encoding for each feature column, in the columns' order. To an unread text all words are unknown, so that
    the towers still have an input for it."""
    return tuple(Encoding(column) if column.name in unread else _fit_column(table, column) for column in columns)


def encode(table: EntityTable, encodings: tuple[Encoding, ...]) -> list[Tensor]:
    """Returns a tensor for each column: categorical int64 (n,), tags and words int64 (n, longest), number float32
    (n,) as it is."""
    return [_encode_column(table, encoding) for encoding in encodings]


def _fit_column(table: EntityTable, column: Column) -> Encoding:
    values = table.columns[column.name]
    if column.kind.is_number:
        return Encoding(column, numbers=table.ranges[column.name])
    counts: Counter[str] = Counter()
    for value in values:
        counts.update(set(value) if column.kind.is_list else {value})
    del counts[""]
    if column.kind is Kind.TEXT:
        return Encoding(column, vocabulary=_vocabulary(counts, COMMON * len(values)))
    return Encoding(column, vocabulary=tuple(sorted(text for text, count in counts.items() if count >= MIN_COUNT)))


def _vocabulary(counts: Counter[str], most: float) -> tuple[str, ...]:
    """Returns the words of `MIN_COUNT` to `most` texts; of too many, those of most texts."""
    telling = sorted((-count, word) for word, count in counts.items() if MIN_COUNT <= count <= most)
    return tuple(sorted(word for _, word in telling[:MAX_VOCABULARY]))


def _encode_column(table: EntityTable, encoding: Encoding) -> Tensor:
    values = table.columns[encoding.column.name]
    if encoding.column.kind.is_number:
        return torch.from_numpy(values.astype(np.float32))
    index = index_of(encoding)
    if not encoding.column.kind.is_list:
        return torch.tensor([index.get(text, 0) for text in values], dtype=torch.int64)
    known = [[index[tag] for tag in tags if tag in index] for tags in values]
    longest = max(1, max(map(len, known), default=1))
    return torch.tensor([row + [0] * (longest - len(row)) for row in known], dtype=torch.int64)


def index_of(encoding: Encoding) -> Mapping[str, int]:
    return {text: number for number, text in enumerate(encoding.vocabulary, start=1)}
