"""Reads the types of a shop's columns over one of Python's connections (PyMySQL's); the Glue job reads them by JDBC."""

from collections.abc import Iterator
from typing import Any

from contracts.column_types import COLUMNS_SQL, ColumnType
from contracts.source_rows import Rows

PROTOCOL_TYPES = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 7: "timestamp", 8: "bigint",
    9: "mediumint", 10: "date", 11: "time", 12: "datetime", 13: "year", 15: "varchar", 16: "bit", 245: "json",
    246: "decimal", 247: "enum", 248: "set", 249: "text", 250: "text", 251: "text", 252: "text", 253: "varchar",
    254: "char", 255: "geometry",
}  # fmt: skip
"""Types of result columns by number (MySQL Internals, "Protocol::ColumnType"), for a `query`, which has no schema."""
BINARY_CHARSET = 63
UNSIGNED = 32
"""A flag of a result's column ("Column Definition Flags", MySQL's source documentation)."""


def read_columns(cursor: Any) -> Iterator[tuple[str, str, ColumnType]]:
    """Yields table, column and type of every column of the database, in the database's order."""
    cursor.execute(COLUMNS_SQL + " ORDER BY table_name, ordinal_position")
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
        field.name.lower(): result_type(field.type_code, field.charsetnr, field.scale, bool(field.flags & UNSIGNED))
        for field in cursor._result.fields
    }


def result_type(code: int, charset: int, scale: int, unsigned: bool) -> ColumnType:
    """Returns a result column's type from the fields of MySQL's protocol."""
    name = PROTOCOL_TYPES.get(code, "unknown")
    if name in ("char", "varchar", "text") and charset == BINARY_CHARSET:
        name = {"char": "binary", "varchar": "varbinary", "text": "blob"}[name]
    arguments = f"(65,{scale})" if name == "decimal" else ""
    return ColumnType(name, f"{name}{arguments}{' unsigned' if unsigned else ''}")


def _text(value: str | bytes) -> str:
    """Decodes a type: MySQL 8 gives it as bytes, MariaDB as text."""
    return value.decode() if isinstance(value, bytes) else value
