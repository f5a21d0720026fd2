"""Compares dataset.toml with the database: tables, columns, types and statements."""

from collections.abc import Mapping
from typing import Any

import pymysql

from contracts import column_types
from contracts.column_types import ColumnType
from contracts.dataset import Dataset
from contracts.mysql import Login
from contracts.mysql_columns import read_schema, result_columns
from contracts.source_rows import Rows
from emulator.errors import LocalRunError

Columns = Mapping[str, ColumnType]
"""Lower-case column name → type."""


def roles(dataset: Dataset) -> dict[str, Rows]:
    return {"users": dataset.users, "items": dataset.items, "ratings": dataset.ratings}


def check(cursor: Any, login: Login, dataset: Dataset) -> dict[str, int]:
    """Counts the rows of each role. Raises `LocalRunError` with every mistake: tables, columns, kinds, statements."""
    found, refused = _found(cursor, dataset)
    mistakes = [*refused, *_without(refused, column_types.mistakes(dataset, found))]
    if mistakes:
        tables = ", ".join(sorted(read_schema(cursor))) or "no tables"
        raise LocalRunError(
            f"source database {login.database} is not as dataset.toml says (it has: {tables}):\n" + "\n".join(mistakes)
        )
    counts = {}
    for role, rows in roles(dataset).items():
        cursor.execute(f"SELECT COUNT(*) FROM {rows.sql}")  # noqa: S608
        counts[role] = int(cursor.fetchone()[0])
    return counts


def types(cursor: Any, dataset: Dataset) -> dict[str, Columns]:
    """Returns the columns of each role. The dataset must have passed `check`."""
    return {role: columns or {} for role, columns in _found(cursor, dataset)[0].items()}


def _found(cursor: Any, dataset: Dataset) -> tuple[dict[str, Columns | None], list[str]]:
    """Returns the columns of each role (None if there is no such table), and the server's errors for `where` and
    `query`."""
    found: dict[str, Columns | None] = dict(column_types.schema_columns(dataset, read_schema(cursor)))
    refused = []
    for role, rows in roles(dataset).items():
        if not rows.query and not (rows.where and found.get(role)):
            continue
        try:
            columns = result_columns(cursor, rows)
        except pymysql.err.MySQLError as error:
            refused.append(f"{role}.{'query' if rows.query else 'where'}: {error.args[-1]}")
            columns = {}
        if rows.query:
            found[role] = columns
    return found, refused


def _without(refused: list[str], mistakes: list[str]) -> list[str]:
    """Drops missing columns of a statement that the server refuses: they only follow from the refusal."""
    roles_refused = {line.partition(".")[0] for line in refused if ".query: " in line[:20]}
    return [line for line in mistakes if line.partition(".")[0] not in roles_refused]
