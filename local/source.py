"""Fills the shop's database for a run (a generated shop, or a dump and a ratings file), or checks one that exists."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from pymysql.cursors import Cursor

from contracts.dataset import Dataset, Entity, KeyType, quoted
from emulator.errors import LocalRunError
from local import dump as dump_file
from local.check import columns
from local.login import Login, connected

MAX_KEY_LENGTH = 191
"""Characters of a text key in the ratings table; what an index of utf8mb4 takes in every version of MySQL."""
BATCH_ROWS = 5_000

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TEXT = re.compile(r".+", re.DOTALL)


def check_existing(login: Login, dataset: Dataset) -> str:
    """Checks that the database answers and has the tables and columns of dataset.toml. Raises `LocalRunError`."""
    with connected(login) as connection, connection.cursor() as cursor:
        return _check_tables(cursor, login, dataset)


def check_given(source: Login | None, ratings: Path | None, dataset: Dataset) -> None:
    """Looks at what a run is given before anything starts. Raises `LocalRunError`."""
    if source:
        check_existing(source, dataset)
    if ratings:
        deque(read_ratings(ratings, dataset), maxlen=0)


def load_dump(login: Login, dump: Path, ratings_file: Path | None, dataset: Dataset) -> str:
    """Fills the database from a mysql dump, and the ratings table from a csv file with a header, where there is one.

    Tables end up in the login's database, whichever name the dump has for its own. Raises `LocalRunError` for a
    dump that the server refuses, a wrong header, and the first bad row with its line.
    """
    rows = list(read_ratings(ratings_file, dataset)) if ratings_file else []
    dump_file.load(login, dump)
    with connected(login) as connection, connection.cursor() as cursor:
        if ratings_file is None:
            return _check_tables(cursor, login, dataset)
        _create_ratings(cursor, dataset, rows)
        values = ", ".join(["%s"] * len(_columns(dataset)))
        insert = f"INSERT INTO {quoted(dataset.ratings.table)} VALUES ({values})"  # noqa: S608
        for start in range(0, len(rows), BATCH_ROWS):
            cursor.executemany(insert, rows[start : start + BATCH_ROWS])
        connection.commit()
        return _check_tables(cursor, login, dataset)


def _check_tables(cursor: Cursor, login: Login, dataset: Dataset) -> str:
    counts = columns.check(cursor, login, dataset)
    labels = {role: rows.table or role for role, rows in columns.roles(dataset).items()}
    return ", ".join(f"{number:,} {labels[role]}" for role, number in counts.items())


def _columns(dataset: Dataset) -> list[str]:
    """The columns of the ratings table, and of its file."""
    return list(dataset.ratings.columns)


def read_ratings(path: Path, dataset: Dataset) -> Iterator[list[str]]:
    """The rows of a file of ratings, checked. Raises `LocalRunError` for the first that is none, with its line."""
    expected = _columns(dataset)
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
    columns = _columns(dataset)
    if len(row) != len(columns):
        raise LocalRunError(f"{place}: expected {len(columns)} values, found {len(row)}: {','.join(row)[:100]!r}")
    kinds = [
        (_WHOLE, "a whole number") if entity.key_type is KeyType.INTEGER else (_TEXT, "some text")
        for entity in (dataset.users, dataset.items)
    ]
    kinds += [(_NUMBER, "a number"), (_TEXT, "a date or time")]
    for column, value, (pattern, expected) in zip(columns, row, kinds, strict=False):
        if not pattern.fullmatch(value):
            raise LocalRunError(f"{place}: {column}: expected {expected}, found {value!r}")
    return row


def _create_ratings(cursor: Cursor, dataset: Dataset, rows: Sequence[Sequence[str]]) -> None:
    """Makes the table, without a primary key: a file may hold a pair twice, and the quality gate is to say so."""
    ratings = dataset.ratings
    whole = all(_WHOLE.fullmatch(row[2]) for row in rows)
    types = [_key_sql_type(dataset.users), _key_sql_type(dataset.items), "INT" if whole else "DOUBLE", "DATETIME(6)"]
    columns = ", ".join(f"{quoted(name)} {kind} NOT NULL" for name, kind in zip(_columns(dataset), types, strict=False))
    cursor.execute(f"DROP TABLE IF EXISTS {quoted(ratings.table)}")
    cursor.execute(f"CREATE TABLE {quoted(ratings.table)} ({columns}, INDEX ({quoted(ratings.user)}))")


def _key_sql_type(entity: Entity) -> str:
    return "BIGINT" if entity.key_type is KeyType.INTEGER else f"VARCHAR({MAX_KEY_LENGTH})"
