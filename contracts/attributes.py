"""The attributes of an item: what answers show of it, and what filters and rules look at.

Training writes them with a version's catalogue, from the rows of the data lake; the refresh of the catalogue writes
those of new and changed items, from the rows of the shop's database. Both read the rows by the same SQL expressions
(`contracts/column_types.py`), and make attributes of them here.
"""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from contracts import features
from contracts.columns import Column, Kind
from contracts.dataset import Entity

Value = str | int | float | bool | list[str]

MAX_TEXT_CHARACTERS = 2_000
"""A longer text is left out: an answer may hold a hundred items, each with every label."""
MAX_CHARACTERS = 10_000
"""The most characters of an item's attributes as JSON; what does not fit any more is left out."""
EXACT = 2**53
"""Whole numbers up to this are exact as a double, which is what JSON's readers take a number for."""


def attributes(items: Entity, row: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the attributes of a row of the items' source, by label and, but for texts, by the column's name.

    `row` is column → raw value, as text, number, date or None. What is missing, or does not fit, is left out.
    """
    kinds = {column.name: column for column in items.columns}
    # Nobody filters by sentences; `[items.display]` names those that answers show.
    wanted = {**items.shown, **{name: name for name, column in kinds.items() if column.kind is not Kind.TEXT}}
    found: dict[str, Value] = {}
    left = MAX_CHARACTERS - len("{}")
    for name, column in wanted.items():
        value = _value(row.get(column), kinds.get(column))
        if value is None:
            continue
        left -= len(to_json({name: value})) - len("{}") + len(",")
        if left < 0:
            break
        found[name] = value
    return found


def to_json(attributes: Mapping[str, Value]) -> str:
    return json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))


def _value(raw: Any, column: Column | None) -> Value | None:
    kind = column.kind if column else None
    if raw is None:
        return None
    if column and kind is Kind.TAGS:
        return [tag for tag in map(_plain_text, features.tags(raw, column.separator)) if tag] or None
    if kind is Kind.BOOLEAN:
        return {"1": True, "0": False}.get(features.boolean(raw))
    if kind is Kind.DATE:
        day = features.day(raw)
        return day.isoformat() if day else None
    if isinstance(raw, bool):
        return raw
    if kind and kind.is_number:
        return _number(features.number(raw))
    if isinstance(raw, int | float | Decimal):
        return _number(features.number(raw))
    if isinstance(raw, datetime | date):
        return raw.isoformat()
    return _plain_text(raw) if isinstance(raw, str) and len(raw) <= MAX_TEXT_CHARACTERS else None


def _number(value: float) -> int | float | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def _plain_text(value: str) -> str | None:
    """Trimmed, and without what PostgreSQL's JSON or UTF-8 does not hold: NUL, and half of a surrogate pair."""
    return value.replace("\0", "").encode(errors="ignore").decode().strip() or None
