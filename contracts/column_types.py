"""MySQL's column types, and the kinds of `dataset.toml` that each may be declared as.

They are checked before a row is read. Each column is read by one SQL expression, so that the server converts the
values, and not the drivers, which differ. The table in docs/batch.md says the same in words. All functions are pure;
the Glue job, the local run's check and the catalogue's refresh use them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from contracts.columns import KeyType, Kind
from contracts.dataset import Dataset, Entity
from contracts.source_rows import Rows, quoted

COLUMNS_SQL = (
    "SELECT table_name AS `t`, column_name AS `c`, data_type AS `d`, column_type AS `f` "
    "FROM information_schema.columns WHERE table_schema = DATABASE()"
)
"""Every column of the database: table, column, data type ("int"), full type ("int(10) unsigned")."""


class Family(StrEnum):
    """Groups of types that are treated in the same way."""

    WHOLE = "whole number"
    FRACTION = "number with a fraction"
    FLOAT = "floating-point number"
    BITS = "bits"
    TEXT = "text"
    DATE = "date"
    TIME = "time of day"
    BYTES = "bytes"
    OTHER = "other"


_FAMILIES = {
    Family.WHOLE: "tinyint smallint mediumint int integer bigint year",
    Family.FRACTION: "decimal numeric",
    Family.FLOAT: "float double real",
    Family.BITS: "bit",
    Family.TEXT: "char varchar tinytext text mediumtext longtext enum set json uuid inet4 inet6",
    Family.DATE: "date datetime timestamp",
    Family.TIME: "time",
    Family.BYTES: "binary varbinary tinyblob blob mediumblob longblob",
}
_BY_NAME = {name: family for family, names in _FAMILIES.items() for name in names.split()}
_FITS_INT = {"tinyint", "smallint", "mediumint", "int", "integer", "year"}


@dataclass(frozen=True)
class ColumnType:
    """A type as information_schema has it: `name` ("int"), and in full ("int(10) unsigned")."""

    name: str
    full: str

    @property
    def family(self) -> Family:
        if self.name in ("decimal", "numeric") and self._arguments()[1:] in ([], [0]):
            return Family.WHOLE
        return _BY_NAME.get(self.name, Family.OTHER)

    @property
    def fits_int(self) -> bool:
        """True if every value fits a 32-bit integer."""
        wide_int = self.name in ("int", "integer") and "unsigned" in self.full
        return (self.name in _FITS_INT and not wide_int) or (self.family is Family.BITS and self._bits() < 32)

    @property
    def fits_bigint(self) -> bool:
        return (
            self.fits_int or self.name in ("int", "integer") or (self.name == "bigint" and "unsigned" not in self.full)
        )

    def _arguments(self) -> list[int]:
        found = re.search(r"\(([\d, ]+)\)", self.full)
        return [int(number) for number in found[1].split(",")] if found else []

    def _bits(self) -> int:
        return (self._arguments() or [1])[0]


class Use(StrEnum):
    """The type that a column is read as."""

    TEXT = "text"
    BOOLEAN = "boolean"
    NUMBER = "number"
    INTEGER = "integer"
    DATE = "date"
    TIME = "time"
    SHOWN = "shown"
    """Shown to people only: numbers as numbers, all other types as text."""


_USES = {
    Kind.CATEGORICAL: Use.TEXT,
    Kind.TAGS: Use.TEXT,
    Kind.TEXT: Use.TEXT,
    Kind.PASSTHROUGH: Use.TEXT,
    Kind.BOOLEAN: Use.BOOLEAN,
    Kind.NUMERIC: Use.NUMBER,
    Kind.INTEGER: Use.INTEGER,
    Kind.DATE: Use.DATE,
}
_ACCEPTED = {
    Use.TEXT: {Family.WHOLE, Family.FRACTION, Family.BITS, Family.TEXT, Family.DATE, Family.TIME},
    Use.BOOLEAN: {Family.WHOLE, Family.BITS},
    Use.NUMBER: {Family.WHOLE, Family.FRACTION, Family.FLOAT, Family.BITS},
    Use.INTEGER: {Family.WHOLE, Family.BITS},
    Use.DATE: {Family.DATE},
    Use.TIME: {Family.DATE},
    Use.SHOWN: {*Family} - {Family.BYTES, Family.OTHER},
}
_NUMBERS = {Family.WHOLE, Family.FRACTION, Family.FLOAT, Family.BITS}
_ADVICE = {
    Family.FLOAT: "declare it numeric",
    Family.TEXT: "declare it categorical (a key: key_type = 'text'), or convert it in a query",
    Family.DATE: "declare it date or categorical, or convert it in a query",
    Family.TIME: "declare it categorical, or convert it in a query",
    Family.FRACTION: "declare it numeric, or convert it in a query",
    Family.BYTES: "convert it in a query, for instance with HEX()",
    Family.WHOLE: "convert it in a query, for instance with FROM_UNIXTIME()",
}


@dataclass(frozen=True)
class Read:
    """A column that the ETL reads."""

    place: str
    """The key in dataset.toml that names the column, for instance `users.columns.city`."""
    column: str
    """The column's name in the source."""
    name: str
    """The column's name in the training data."""
    use: Use
    declared: str
    """The name of the use in dataset.toml, for messages, for instance `categorical`."""


def reads(dataset: Dataset) -> dict[str, tuple[Read, ...]]:
    """Returns all columns that are read, by role: `users`, `items`, `ratings`."""
    return {
        "users": tuple(_entity_reads("users", dataset.users, dataset)),
        "items": tuple(_entity_reads("items", dataset.items, dataset)),
        "ratings": tuple(_rating_reads(dataset)),
    }


def mistakes(dataset: Dataset, found: Mapping[str, Mapping[str, ColumnType] | None]) -> list[str]:
    """Returns a line for each column that is missing, or whose type does not fit its kind.

    `found` is role → lower-case column name → type; None for a role whose table does not exist.
    """
    return [line for role in ("users", "items", "ratings") for line in role_mistakes(dataset, role, found[role])]


def role_mistakes(dataset: Dataset, role: str, columns: Mapping[str, ColumnType] | None) -> list[str]:
    """The same of one role."""
    rows: Rows = {"users": dataset.users, "items": dataset.items, "ratings": dataset.ratings}[role]
    if columns is None:
        return [f"{role}.table: no table {rows.table} in the database"]
    lines = []
    for read in reads(dataset)[role]:
        column = columns.get(read.column.lower())
        if column is None:
            lines.append(f"{read.place}: {rows.label} has no column {read.column}; it has {', '.join(columns)}")
        elif refusal := _refusal(read, column):
            lines.append(f"{read.place}: {rows.label}.{read.column} is {column.full.upper()}, {refusal}")
    return lines


def schema_columns(
    dataset: Dataset, schema: Mapping[str, Mapping[str, ColumnType]]
) -> dict[str, Mapping[str, ColumnType] | None]:
    """Selects, from a database's columns (table → lower-case name → type), those of each role that names a table."""
    roles = {"users": dataset.users, "items": dataset.items, "ratings": dataset.ratings}
    return {role: schema.get(rows.table, schema.get(rows.table.lower())) for role, rows in roles.items() if rows.table}


def expression(read: Read, column: ColumnType) -> str:
    """Returns the SQL expression that reads the column as text, a double or a BIGINT, the same with every driver.

    Source: "Cast Functions and Operators" and "Bit-Value Type - BIT", MySQL 8.0 Reference Manual. `+ 0e0` stands for
    `CAST(… AS DOUBLE)`, which MySQL 5.7 lacks. A BIT is bytes until it is used as a number.
    """
    name = quoted(read.column)
    number = is_number(read, column)
    if column.family is Family.BITS:  # as text first: MariaDB takes a BIT(64) for a signed number
        return f"CONVERT({name} + 0 USING utf8mb4){' + 0e0' if number else ''}"
    if number:
        return f"{name} + 0e0"
    if read.use is Use.INTEGER and column.fits_bigint:
        return f"CAST({name} AS SIGNED)"
    return f"CONVERT({name} USING utf8mb4)"


def is_number(read: Read, column: ColumnType) -> bool:
    """Returns True if the column is read as a double."""
    return read.use is Use.NUMBER or (read.use is Use.SHOWN and column.family in _NUMBERS)


def _entity_reads(role: str, entity: Entity, dataset: Dataset) -> Iterator[Read]:
    names = dataset.training_names
    yield _key_read(f"{role}.key", entity.key, names[role, entity.key], entity)
    for column in entity.columns:
        place = f"{role}.columns.{column.name}"
        yield Read(place, column.name, names[role, column.name], _USES[column.kind], column.kind.value)
    for name in entity.only_shown:
        place = "items.name" if name == entity.name else f"items.display.{_label(entity, name)}"
        yield Read(place, name, dataset.catalogue_names[name], Use.SHOWN, "shown")


def _label(entity: Entity, column: str) -> str:
    return next(label for label, shown in entity.display.items() if shown == column)


def _rating_reads(dataset: Dataset) -> Iterator[Read]:
    ratings, names = dataset.ratings, dataset.training_names
    yield _key_read("ratings.user", ratings.user, names["users", dataset.users.key], dataset.users)
    yield _key_read("ratings.item", ratings.item, names["items", dataset.items.key], dataset.items)
    for key, use in (("rating", Use.NUMBER), ("time", Use.TIME), ("quantity", Use.NUMBER)):
        if column := getattr(ratings, key):
            yield Read(f"ratings.{key}", column, names["ratings", column], use, f"a {key}")


def _key_read(place: str, column: str, name: str, entity: Entity) -> Read:
    use = Use.INTEGER if entity.key_type is KeyType.INTEGER else Use.TEXT
    return Read(place, column, name, use, f"a key of type {entity.key_type.value}")


def _refusal(read: Read, column: ColumnType) -> str | None:
    if column.family in _ACCEPTED[read.use] and not (column.name == "year" and read.use is Use.BOOLEAN):
        return None
    return f"which cannot be {read.declared}: {_ADVICE.get(column.family, 'leave it out, or convert it in a query')}"
