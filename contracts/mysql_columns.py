"""Reads the types of a shop's columns over one of Python's connections (PyMySQL's); the Glue job reads them by JDBC."""

from collections.abc import Iterator
from typing import Any

from contracts import column_types
from contracts.column_types import ColumnType
from contracts.dataset import Rows

UNSIGNED = 32
"""A flag of a result's column ("Column Definition Flags", MySQL's source documentation)."""


def read_columns(cursor: Any) -> Iterator[tuple[str, str, ColumnType]]:
    """Yields table, column and type of every column of the database, in the database's order."""
    cursor.execute(column_types.COLUMNS_SQL + " ORDER BY table_name, ordinal_position")
    for table, column, name, full in cursor.fetchall():
        yield table, column, ColumnType(_text(name), _text(full))


def read_schema(cursor: Any) -> dict[str, dict[str, ColumnType]]:
    """Returns the columns' types, by lower-case name, of every table of the database."""
    schema: dict[str, dict[str, ColumnType]] = {}
    for table, column, found in read_columns(cursor):
        schema.setdefault(table, {})[column.lower()] = found
    return schema


def result_columns(cursor: Any, rows: Rows) -> dict[str, ColumnType]:
    """Returns the types, by lower-case name, of the columns that a statement's rows have. Raises the driver's error."""
    cursor.execute(f"SELECT * FROM {rows.sql} LIMIT 0")  # noqa: S608
    return {
        field.name.lower(): column_types.result_type(
            field.type_code, field.charsetnr, field.scale, bool(field.flags & UNSIGNED)
        )
        for field in cursor._result.fields
    }


def _text(value: str | bytes) -> str:
    """Decodes a type: MySQL 8 gives it as bytes, MariaDB as text."""
    return value.decode() if isinstance(value, bytes) else value
