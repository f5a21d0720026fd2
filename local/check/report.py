"""Describes a shop's tables as the model will see them: counts, keys, orphans, and each feature's values."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts import features
from contracts.column_types import Family
from contracts.columns import Column, KeyType, Kind
from contracts.dataset import Dataset, Entity
from contracts.source_rows import Rows, quoted
from local.check.columns import Columns

VALUES_SHOWN = 3
LONGEST_VALUE = 24
MEASURED = 3
"""Liked items that a customer needs to be measured: one to test, one to validate, one to learn from."""


@dataclass(frozen=True)
class Keys:
    """An entity's keys as text, trimmed as in the ETL."""

    known: frozenset[str]
    rows: int
    missing: int
    duplicates: int


class Report:
    """The lines of a check. `warnings` name what a run would refuse, or what would be of little use to it."""

    def __init__(self, cursor: Any, dataset: Dataset, types: Mapping[str, Columns]) -> None:
        self._cursor = cursor
        self._dataset = dataset
        self._types = types
        self.warnings: list[str] = []

    def lines(self) -> Iterator[str]:
        keys: dict[str, Keys] = {}
        for role, entity in (("users", self._dataset.users), ("items", self._dataset.items)):
            keys[role] = self._keys(role, entity)
            yield from self._entity(role, entity, keys[role])
        yield from self._ratings(keys["users"], keys["items"])

    def _entity(self, role: str, entity: Entity, keys: Keys) -> Iterator[str]:
        faults = keys.missing + keys.duplicates
        told = f", {keys.missing:,} missing, {keys.duplicates:,} not unique" if faults else ""
        yield f"[{role}] {entity.label}: {keys.rows:,} rows, key {entity.key} {self._type(role, entity.key)}{told}"
        self._check_share(entity, faults, keys.rows, "keys missing or not unique")
        for column in entity.columns:
            described = self._describe(role, entity, column)
            yield f"    {column.name:<20} {column.kind.value:<12} {self._type(role, column.name):<16} {described}"
        if entity.in_stock:
            name = quoted(entity.in_stock)
            (there,) = self._one(entity, f"COUNT(CASE WHEN {name} > 0 OR {name} IS NULL THEN 1 END)")
            yield f"    in stock, or stock not managed: {there:,} of {keys.rows:,}"
            if not there:
                self.warnings.append(f"{entity.label}.{entity.in_stock}: nothing is in stock: nothing is recommended")

    def _ratings(self, users: Keys, items: Keys) -> Iterator[str]:
        ratings = self._dataset.ratings
        user, item = quoted(ratings.user), quoted(ratings.item)
        by_user = self._counts(ratings, self._key("ratings", ratings.user, self._dataset.users))
        by_item = self._counts(ratings, self._key("ratings", ratings.item, self._dataset.items))
        rows = sum(by_user.values())
        what = f"rating {ratings.rating}, liked from {ratings.liked}" if ratings.rating else "purchases"
        yield f"[ratings] {ratings.label}: {rows:,} rows ({what})"
        unknown = 0
        for role, counts, known in (("user", by_user, users.known), ("item", by_item, items.known)):
            orphans = sum(count for key, count in counts.items() if key not in known)
            used = sum(key in known for key in counts)
            share = f"{orphans / rows:.1%}" if rows else "0 %"
            yield f"    {role + 's with ratings':<20} {used:,} of {len(known):,}; rows of no known {role}: {share}"
            unknown = max(unknown, orphans)
        self._check_share(ratings, unknown, rows, "rows of an unknown user or item")
        if ratings.rating:
            yield from self._scale(ratings.rating)
        if ratings.time:
            time = _day(ratings.time)
            first, last, missing = self._one(ratings, f"MIN({time}), MAX({time}), COUNT(*) - COUNT({time})")
            yield f"    {ratings.time:<20} {first} to {last}{_empty(missing)}"
            self._check_share(ratings, missing, rows, f"{ratings.time} missing")
        yield from self._liked(user, item)

    def _scale(self, rating: str) -> Iterator[str]:
        ratings, name = self._dataset.ratings, quoted(rating)
        lowest, highest, outside, missing = self._one(
            ratings,
            f"MIN({name}), MAX({name}), COUNT(CASE WHEN {name} NOT BETWEEN {ratings.scale[0]} AND {ratings.scale[1]} "
            f"THEN 1 END), COUNT(CASE WHEN {name} IS NULL THEN 1 END)",
        )
        yield f"    {rating:<20} {lowest} to {highest}; outside of the scale {list(ratings.scale)}: {outside:,}"
        self._check_share(ratings, int(outside) + int(missing), None, "ratings missing or outside of the scale")

    def _liked(self, user: str, item: str) -> Iterator[str]:
        ratings = self._dataset.ratings
        liked = f"WHERE {quoted(ratings.rating)} >= {ratings.liked}" if ratings.rating else ""
        self._cursor.execute(
            f"SELECT COUNT(*), COUNT(CASE WHEN n >= {MEASURED} THEN 1 END) FROM "  # noqa: S608
            f"(SELECT COUNT(DISTINCT {item}) AS n FROM {ratings.sql} {liked} GROUP BY {user}) AS histories"
        )
        users, measured = self._cursor.fetchone()
        yield f"    users who liked something: {users:,}; {measured:,} with {MEASURED} liked items or more"
        if not measured:
            self.warnings.append(
                f"no user has {MEASURED} liked items: a model is trained, and cannot be measured (the gate refuses it)"
            )

    def _describe(self, role: str, entity: Entity, column: Column) -> str:
        name = quoted(column.name)
        if column.kind.is_number or column.kind in (Kind.DATE, Kind.BOOLEAN):
            value = _day(column.name) if column.kind is Kind.DATE else f"{name} + 0"
            lowest, highest, empty = self._one(entity, f"MIN({value}), MAX({value}), COUNT(*) - COUNT({value})")
            return "empty in every row" if lowest is None else f"{_short(lowest)} to {_short(highest)}{_empty(empty)}"
        counts = self._counts(entity, self._text(role, column.name))
        empty = counts.pop("", 0)
        if column.kind.is_list:
            counts = _counts_of_parts(column, counts)
        most = sorted(counts.items(), key=lambda found: (-found[1], found[0]))[:VALUES_SHOWN]
        shown = ", ".join(f"{_short(value)} ({number:,})" for value, number in most)
        more = ", …" if len(counts) > VALUES_SHOWN else ""
        what = "words" if column.kind is Kind.TEXT else "values"
        return f"{len(counts):,} {what}: {shown}{more}{_empty(empty)}"

    def _keys(self, role: str, entity: Entity) -> Keys:
        counts = self._counts(entity, self._key(role, entity.key, entity))
        missing = counts.pop("", 0)
        duplicates = sum(number for number in counts.values() if number > 1)
        return Keys(frozenset(counts), sum(counts.values()) + missing, missing, duplicates)

    def _key(self, role: str, column: str, entity: Entity) -> str:
        """Returns SQL for a key; integers come without the zeros of a ZEROFILL column."""
        return f"{quoted(column)} + 0" if entity.key_type is KeyType.INTEGER else self._text(role, column)

    def _text(self, role: str, column: str) -> str:
        """Returns SQL for a column as text. A BIT is bytes until it is used as a number."""
        found = self._types[role].get(column.lower())
        return f"{quoted(column)} + 0" if found and found.family is Family.BITS else quoted(column)

    def _counts(self, rows: Rows, value: str) -> Counter[str]:
        """Counts each value. Values are compared as they are written, whatever the column's collation holds for
        equal."""
        self._cursor.execute(
            f"SELECT CONVERT({value} USING utf8mb4) COLLATE utf8mb4_bin, COUNT(*) FROM {rows.sql} GROUP BY 1"  # noqa: S608
        )
        counts: Counter[str] = Counter()
        for value, number in self._cursor.fetchall():
            counts["" if value is None else str(value).strip()] += number
        return counts

    def _one(self, rows: Rows, selected: str) -> tuple[Any, ...]:
        self._cursor.execute(f"SELECT {selected} FROM {rows.sql}")  # noqa: S608
        row: tuple[Any, ...] = self._cursor.fetchone()
        return row

    def _check_share(self, rows: Rows, bad: int, all_rows: int | None, what: str) -> None:
        if all_rows is None:
            (all_rows,) = self._one(rows, "COUNT(*)")
        limit = self._dataset.quality.max_rejected
        if all_rows and bad / all_rows > limit:
            self.warnings.append(
                f"{rows.label}: {what}: {bad / all_rows:.1%}, more than quality.max_rejected = {limit}: the job would "
                "refuse them; leave out by `where` what is not meant"
            )
        if not all_rows:
            self.warnings.append(f"{rows.label}: expected rows, found none")

    def _type(self, role: str, column: str) -> str:
        found = self._types[role].get(column.lower())
        return found.full.upper() if found else ""


def _day(column: str) -> str:
    """Returns SQL for a date; zero dates become NULL."""
    return f"IF(YEAR({quoted(column)}) = 0, NULL, {quoted(column)})"


def _counts_of_parts(column: Column, counts: Counter[str]) -> Counter[str]:
    """Counts each tag, or each word of a text."""
    found: Counter[str] = Counter()
    for text, number in counts.items():
        parts = features.words(text) if column.kind is Kind.TEXT else text.split(column.separator)
        found.update(dict.fromkeys(filter(None, map(str.strip, parts)), number))
    return found


def _empty(number: int) -> str:
    return f"; {number:,} empty" if number else ""


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
