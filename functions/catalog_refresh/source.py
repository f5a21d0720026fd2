"""Reads the shop's items: the same SQL and the same types as the ETL's, so that a feature is what training read."""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import msgspec

from contracts import column_types, features
from contracts.attributes import MAX_TEXT_CHARACTERS, attributes, to_json
from contracts.column_types import ColumnType, Read, Use
from contracts.dataset import Dataset
from contracts.mysql import SourceError
from contracts.mysql_columns import read_schema, result_columns
from contracts.source_rows import quoted
from functions.shared.serving.requests import storable

CHUNK_ROWS = 2048
"""Rows that are held, compared and written at a time."""

SHOWN_CHARACTERS = 60
"""Characters of a key that cannot be used, for the log."""

_WHITE_SPACE = " \t\n\r\f\v"
_BIGINT = (-(2**63), 2**63 - 1)
_ZERO_DATE = "0000-00-00"
"""MySQL's value for a missing date."""

KEY_MISSING, KEY_TWICE, KEY_UNUSABLE = "key missing", "key not unique", "key too long, or with a NUL"

_encode = msgspec.json.Encoder().encode


class MisfitError(ValueError):
    """A value does not fit its type; the text has the column and what is wrong, not the value."""


class Row(NamedTuple):
    """A row of the source: its key as text, a digest of all of its values, and the values as the server sends them."""

    key: str
    digest: int
    values: tuple[Any, ...]


class Item(NamedTuple):
    """A row as it is written: `values` are typed, by the source's columns, `attributes` is JSON (contracts/attributes).

    `embedded`: an earlier refresh added it to the version.
    """

    key: str
    digest: int
    in_stock: bool
    attributes: str
    values: Mapping[str, Any]
    embedded: bool = False


@dataclass
class Refused:
    """Rows that count as not there: how many for each reason, and the first keys for the log."""

    counts: dict[str, int] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    MOST_KEYS = 20

    def add(self, key: str, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self.keys) < self.MOST_KEYS:
            self.keys.append(f"{key}: {reason}")


class SourceItems:
    """The items of a specification in a connected database. Raises `SourceError` where their columns are not as
    dataset.toml says."""

    def __init__(self, connection: Any, dataset: Dataset) -> None:
        self._connection, self._dataset = connection, dataset
        self.reads = column_types.reads(dataset)["items"]
        self._types = self._column_types()
        self.rows = 0
        """Rows that were read, refused ones among them."""
        self._items: dict[str, Item | None] = {}
        self.refused = Refused()
        self.seen: set[int] = set()
        """Hashes of the keys that were read: some 70 bytes for each of them."""

    def chunks(self) -> Generator[list[Row], None, None]:
        """Yields the rows whose key can be used, once each; others are in `refused`."""
        for rows in self.raw():
            self.rows += len(rows)
            self._items.clear()
            yield list(self._with_keys(rows))

    def raw(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yields the rows as the server sends them. One statement reads all, so that they are of one moment."""
        columns = ", ".join(
            f"{column_types.expression(read, type_)} AS {quoted(read.name)}"
            for read, type_ in zip(self.reads, self._types, strict=True)
        )
        cursor = self._connection.cursor()
        cursor.execute(f"SELECT {columns} FROM {self._dataset.items.sql}")  # noqa: S608
        try:
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield rows
        except GeneratorExit:
            self._abandon(cursor)
            raise

    def _abandon(self, cursor: Any) -> None:
        """Ends the connection with a result that nobody reads on: to close the cursor would read it to its end."""
        cursor._result.unbuffered_active = False
        self._connection._force_close()

    def item(self, row: Row) -> Item | None:
        """Returns a row of the last portion, typed once for all versions; `None` where it is refused."""
        if row.key not in self._items:
            self._items[row.key] = self._typed(row)
        return self._items[row.key]

    def _typed(self, row: Row) -> Item | None:
        try:
            values = {
                read.column: typed(read, type_, value)
                for read, type_, value in zip(self.reads, self._types, row.values, strict=True)
            }
        except MisfitError as error:
            self.refused.add(row.key, str(error))
            return None
        shown = to_json(attributes(self._dataset.items, values))
        return Item(row.key, row.digest, self._is_in_stock(values), shown, values)

    def _is_in_stock(self, values: Mapping[str, Any]) -> bool:
        """Returns True where the stock is above zero, or is not managed (training/artifacts.py decides the same)."""
        stock = self._dataset.items.in_stock
        return stock is None or not features.number(values[stock]) <= 0

    def _with_keys(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
        read, type_ = self.reads[0], self._types[0]
        for values in rows:
            try:
                key = str(typed(read, type_, values[0]) if values[0] is not None else "")
            except MisfitError as error:
                self.refused.add(str(values[0]), str(error))
                continue
            reason = "" if key and storable(key) else KEY_UNUSABLE if key else KEY_MISSING
            if not reason and hash(key) in self.seen:
                reason = KEY_TWICE
            if reason:
                self.refused.add(key if reason == KEY_TWICE else ascii(key[:SHOWN_CHARACTERS]), reason)
                continue
            self.seen.add(hash(key))
            yield Row(key, _digest(values), values)

    def _column_types(self) -> list[ColumnType]:
        items = self._dataset.items
        with self._connection.cursor() as cursor:
            if items.query:
                found: Mapping[str, ColumnType] | None = result_columns(cursor, items)
            else:
                found = column_types.schema_columns(self._dataset, read_schema(cursor))["items"]
        if mistakes := column_types.role_mistakes(self._dataset, "items", found):
            raise SourceError("the source database is not as dataset.toml says:\n" + "\n".join(mistakes))
        assert found is not None  # role_mistakes
        return [found[read.column.lower()] for read in self.reads]


def typed(read: Read, type_: ColumnType, value: Any) -> Any:
    """Returns a value as the ETL gives it to the lake (etl/tables.py, `typed`). Raises `MisfitError`."""
    if value is None:
        return None
    if column_types.is_number(read, type_):
        return float(value)
    if read.use is Use.INTEGER:
        return _whole(read, value)
    text = str(value)
    if read.use is Use.DATE:
        return _day(read, text)
    text = text.strip(_WHITE_SPACE)
    if read.use is Use.SHOWN and len(text) > MAX_TEXT_CHARACTERS:
        return None
    if read.use is Use.BOOLEAN and text not in ("0", "1"):
        raise MisfitError(f"{read.column}: neither 0 nor 1")
    return text


def _whole(read: Read, value: Any) -> int:
    whole = int(value)
    if not _BIGINT[0] <= whole <= _BIGINT[1]:
        raise MisfitError(f"{read.column}: too large for an integer")
    return whole


def _day(read: Read, text: str) -> date | None:
    day = text[: len(_ZERO_DATE)]
    if day == _ZERO_DATE:
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise MisfitError(f"{read.column}: no date") from None


def _digest(values: tuple[Any, ...]) -> int:
    """Returns a 64-bit number: two contents share one by a chance of 1 in 10^19."""
    content = hashlib.blake2b(_encode(values), digest_size=8).digest()
    return int.from_bytes(content, "big", signed=True)
