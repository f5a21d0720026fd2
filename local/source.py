"""Fills the shop's database for a run (a generated shop, or a dump and a ratings file), or checks one that exists."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymysql.cursors import Cursor

from contracts.columns import KeyType
from contracts.dataset import Dataset
from contracts.mysql import Login
from contracts.mysql_columns import read_schema
from contracts.source_rows import quoted
from emulator.errors import LocalRunError
from local import dump as dump_file
from local.check import columns
from local.login import connected

MAX_KEY_LENGTH = 191
"""The most characters of a text key in the ratings table: an index of utf8mb4 takes as many in every version of
MySQL."""
BATCH_ROWS = 5_000

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?")
_TEXT = re.compile(r".+", re.DOTALL)


def check_existing(login: Login, dataset: Dataset) -> str:
    """Checks that the database answers and has the tables and columns of dataset.toml. Raises `LocalRunError`."""
    with connected(login) as connection, connection.cursor() as cursor:
        return _check_tables(cursor, login, dataset)


def check_given(source: Login | None, ratings: Path | None, dataset: Dataset) -> None:
    """Checks the options of the source before anything starts. Raises `LocalRunError`."""
    if source:
        check_existing(source, dataset)
    if ratings:
        if not dataset.ratings.table:
            raise LocalRunError(
                f"--ratings {ratings}: fills the table of [ratings], and dataset.toml has a query there"
            )
        deque(read_ratings(ratings, dataset), maxlen=0)


def load_dump(login: Login, dump: Path, ratings_file: Path | None, dataset: Dataset) -> str:
    """Fills the database from a mysql dump, and the ratings table from a csv file with a header, if one is given.

    All tables go to the login's database, whichever name the dump has for its own. Raises `LocalRunError` for a dump
    that the server refuses, a wrong header, and the first bad row with its line.
    """
    rows = list(read_ratings(ratings_file, dataset)) if ratings_file else []
    dump_file.load(login, dump)
    with connected(login) as connection, connection.cursor() as cursor:
        if ratings_file is None:
            table = dataset.ratings.table
            if table and table.lower() not in map(str.lower, read_schema(cursor)):
                raise LocalRunError(f"--sql-dump {dump}: has no table {table}: give it with --ratings, as csv")
            return _check_tables(cursor, login, dataset)
        _create_ratings(cursor, dataset, rows)
        values = ", ".join(["%s"] * len(dataset.ratings.columns))
        insert = f"INSERT INTO {quoted(dataset.ratings.table)} VALUES ({values})"  # noqa: S608
        for start in range(0, len(rows), BATCH_ROWS):
            cursor.executemany(insert, rows[start : start + BATCH_ROWS])
        connection.commit()
        return _check_tables(cursor, login, dataset)


def _check_tables(cursor: Cursor, login: Login, dataset: Dataset) -> str:
    counts = columns.check(cursor, login, dataset)
    labels = {role: rows.table or role for role, rows in columns.roles(dataset).items()}
    return ", ".join(f"{number:,} {labels[role]}" for role, number in counts.items())


def read_ratings(path: Path, dataset: Dataset) -> Iterator[list[str]]:
    """Yields the checked rows of a file of ratings. Raises `LocalRunError` for the first wrong row, with its line."""
    expected = list(dataset.ratings.columns)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            if header != expected:
                raise LocalRunError(
                    f"{path}: expected the header {','.join(expected)}, found {','.join(header)[:200]!r}"
                )
            for row in filter(None, reader):
                yield _checked([value.strip() for value in row], f"{path}, line {reader.line_num}", dataset)
    except OSError as error:
        raise LocalRunError(f"--ratings {path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LocalRunError(f"{path}, after line {reader.line_num}: expected csv in UTF-8: {error}") from error


def _checked(row: list[str], place: str, dataset: Dataset) -> list[str]:
    fields = list(_fields(dataset))
    if len(row) != len(fields):
        raise LocalRunError(f"{place}: expected {len(fields)} values, found {len(row)}: {','.join(row)[:100]!r}")
    for field, value in zip(fields, row, strict=True):
        if not field.pattern.fullmatch(value):
            raise LocalRunError(f"{place}: {field.column}: expected {field.expected}, found {value!r}")
    return row


@dataclass(frozen=True)
class _Field:
    """A column of a file of ratings."""

    column: str
    pattern: re.Pattern[str]
    expected: str
    sql_type: str


def _fields(dataset: Dataset) -> Iterator[_Field]:
    ratings = dataset.ratings
    for column, entity in ((ratings.user, dataset.users), (ratings.item, dataset.items)):
        if entity.key_type is KeyType.INTEGER:
            yield _Field(column, _WHOLE, "a whole number", "BIGINT")
        else:
            yield _Field(column, _TEXT, "some text", f"VARCHAR({MAX_KEY_LENGTH})")
    for column in filter(None, (ratings.rating, ratings.time, ratings.quantity)):
        if column == ratings.time:
            yield _Field(column, _TIME, "a date or time, such as 2026-11-20 17:30:00", "DATETIME(6)")
        else:
            yield _Field(column, _NUMBER, "a number", "DOUBLE")


def _create_ratings(cursor: Cursor, dataset: Dataset, rows: Sequence[Sequence[str]]) -> None:
    """Makes the table without a primary key: a file may hold a pair twice, which the quality gate reports."""
    ratings = dataset.ratings
    columns = []
    for place, field in enumerate(_fields(dataset)):
        whole = field.sql_type == "DOUBLE" and all(_WHOLE.fullmatch(row[place]) for row in rows)
        columns.append(f"{quoted(field.column)} {'INT' if whole else field.sql_type} NOT NULL")
    cursor.execute(f"DROP TABLE IF EXISTS {quoted(ratings.table)}")
    cursor.execute(f"CREATE TABLE {quoted(ratings.table)} ({', '.join(columns)}, INDEX ({quoted(ratings.user)}))")
