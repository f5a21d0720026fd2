"""The user tower: raw features and the vectors of recent items in, user vectors out (ONNX Runtime)."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import onnxruntime

from contracts.artifacts import RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT, USER_VECTOR_OUTPUT
from contracts.dataset import Column, Dataset, Kind
from functions.shared.vectors import Vectors


class ModelError(ValueError):
    """A model that does not fit its manifest."""


class UserTower:
    """The tower of one version. Raises `ModelError` where its inputs are not what the dataset specification says."""

    def __init__(self, model: bytes, dataset: Dataset) -> None:
        options = onnxruntime.SessionOptions()
        # A function has about one CPU: more threads would only wait for each other.
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        inputs = {given.name: given.shape for given in self._session.get_inputs()}
        self._has_mask = RECENT_ITEMS_MASK_INPUT in inputs
        self._has_items = RECENT_ITEMS_INPUT in inputs
        self._tag_counts = {name: shape[1] for name, shape in inputs.items() if len(shape) == 2}
        columns = {column.name: column for column in dataset.users.features}
        features = [name for name in inputs if name not in (RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT)]
        if unknown := [name for name in features if name not in columns]:
            raise ModelError(f"user tower: expected inputs named as features ({', '.join(columns)}), found {unknown}")
        self._columns = [columns[name] for name in features]
        self._event_key = {column: key for key, column in dataset.event_features.items()}

    def has_features(self, user: Mapping[str, Any]) -> bool:
        """Whether the event brings a value for any feature."""
        return any(_present(column, self._value(column, user)) for column in self._columns)

    def vectors(self, users: Sequence[Mapping[str, Any]], recent: Sequence[Vectors]) -> Vectors:
        """(len(users), dim). `recent[i]` are the vectors of a user's recent items, (n, dim), the most recent first."""
        inputs: dict[str, Any] = {column.name: self._feature(column, users) for column in self._columns}
        if self._has_items:
            inputs[RECENT_ITEMS_INPUT], mask = _pad(recent)
            if self._has_mask:
                inputs[RECENT_ITEMS_MASK_INPUT] = mask
        output: Vectors = self._session.run([USER_VECTOR_OUTPUT], inputs)[0]
        return output

    def _value(self, column: Column, user: Mapping[str, Any]) -> Any:
        key = self._event_key.get(column.source or column.name)
        value = None if key is None else user.get(key)
        return value if column.part is None else column.part.of(_day(value), datetime.now(UTC).date())

    def _feature(self, column: Column, users: Sequence[Mapping[str, Any]]) -> Any:
        values = [self._value(column, user) for user in users]
        if column.kind.is_number:
            return np.array([_number(value) for value in values], dtype=np.float32)
        if column.kind is Kind.TAGS:
            return _pad_tags([_tags(column, value) for value in values], self._tag_counts.get(column.name))
        return np.array([_text(value) for value in values], dtype=object)


def _present(column: Column, value: Any) -> bool:
    if column.kind.is_number:
        return not math.isnan(_number(value))
    return bool(_tags(column, value)) if column.kind is Kind.TAGS else bool(_text(value))


def _number(value: Any) -> float:
    """A number or its text; whatever else came counts as missing, as does what a 32-bit float cannot hold."""
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if abs(number) < float(np.finfo(np.float32).max) else math.nan


def _text(value: Any) -> str:
    """Text, trimmed as the training data is; numbers as their text, true and false as MySQL's 1 and 0; whatever else
    came counts as missing."""
    if isinstance(value, int | float):
        value = str(int(value) if isinstance(value, bool) else value)
    # ONNX Runtime takes UTF-8: half a surrogate pair has none.
    return value.strip().encode(errors="ignore").decode() if isinstance(value, str) else ""


def _day(value: Any) -> date | None:
    """A date of an event, in ISO 8601, with a time or without; whatever else came counts as missing."""
    try:
        return date.fromisoformat(_text(value)[: len("2026-01-31")])
    except ValueError:
        return None


def _tags(column: Column, value: Any) -> list[str]:
    values = value if isinstance(value, list) else str(value or "").split(column.separator)
    return [text for text in map(_text, values) if text]


def _pad_tags(tags: Sequence[Sequence[str]], width: int | str | None) -> Any:
    """(len(tags), width) of text; the model says the width, or leaves it open."""
    columns = width if isinstance(width, int) else max(1, max(map(len, tags)))
    padded = np.full((len(tags), columns), "", dtype=object)
    for row, values in enumerate(tags):
        padded[row, : min(len(values), columns)] = values[:columns]
    return padded


def _pad(recent: Sequence[Vectors]) -> tuple[Vectors, Vectors]:
    """(len(recent), longest, dim) and its mask (len(recent), longest); the longest is at least 1."""
    longest = max(1, max(map(len, recent)))
    padded = np.zeros((len(recent), longest, recent[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(recent), longest), dtype=np.float32)
    for row, vectors in enumerate(recent):
        padded[row, : len(vectors)] = vectors
        mask[row, : len(vectors)] = 1
    return padded, mask
