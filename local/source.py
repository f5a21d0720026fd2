"""Fills the shop's database for a run (a generated shop, or a dump and a ratings file), or checks one that exists."""

import csv
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.cursors import Cursor

from contracts.dataset import Dataset, Entity, KeyType
from emulator.errors import LocalRunError
from emulator.mariadb import quoted
from local.shop import Login

MYSQL_PORT = 3306
MAX_KEY_LENGTH = 191
"""Characters of a text key in the ratings table; what an index of utf8mb4 takes in every version of MySQL."""
BATCH_ROWS = 5_000

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TEXT = re.compile(r".+", re.DOTALL)


def parse_url(url: str) -> Login:
    """Reads `mysql://user:password@host:port/database`. Raises `LocalRunError`, which does not repeat the password."""
    expected = "--source: expected mysql://user:password@host:port/database (special characters as %XX)"
    try:
        parts = urlsplit(url)
        port = parts.port or MYSQL_PORT
    except ValueError:
        raise LocalRunError(f"{expected}, found another shape of URL") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme != "mysql" or not parts.hostname or not parts.username or not database or "/" in database:
        raise LocalRunError(f"{expected}, found a URL without one of these parts")
    return Login(parts.hostname, port, database, unquote(parts.username), unquote(parts.password or ""))


def check_existing(login: Login, dataset: Dataset) -> str:
    """Checks that the database answers and has the tables and columns of dataset.toml. Raises `LocalRunError`."""
    with _connect(login) as connection, connection.cursor() as cursor:
        return _check_tables(cursor, login, dataset)


def load_dump(login: Login, dump: Path, ratings_file: Path, dataset: Dataset) -> str:
    """Fills the database from a mysql dump, and the ratings table from a csv file with a header.

    Tables end up in the login's database, whichever name the dump has for its own. Raises `LocalRunError` for a missing
    file, a dump that the server refuses, a wrong header, and the first bad row with its line.
    """
    for option, path in (("--sql-dump", dump), ("--ratings", ratings_file)):
        if not path.is_file():
            raise LocalRunError(f"{option} {path}: expected a file, found none")
    rows = list(_read_ratings(ratings_file, dataset))
    _execute_dump(login, dump)
    with _connect(login) as connection, connection.cursor() as cursor:
        _create_ratings(cursor, dataset, rows)
        values = ", ".join(["%s"] * len(_columns(dataset)))
        insert = f"INSERT INTO {quoted(dataset.ratings.table)} VALUES ({values})"  # noqa: S608
        for start in range(0, len(rows), BATCH_ROWS):
            cursor.executemany(insert, rows[start : start + BATCH_ROWS])
        connection.commit()
        return _check_tables(cursor, login, dataset)


def _connect(login: Login) -> "pymysql.connections.Connection[Cursor]":
    try:
        return pymysql.connect(
            host=login.host,
            port=login.port,
            user=login.username,
            password=login.password,
            database=login.database,
            charset="utf8mb4",
            connect_timeout=10,
        )
    except pymysql.err.MySQLError as error:
        place = f"{login.username}@{login.host}:{login.port}/{login.database}"
        raise LocalRunError(f"source database {place}: cannot be reached: {error.args[-1]}") from error


def _check_tables(cursor: Cursor, login: Login, dataset: Dataset) -> str:
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", (login.database,)
    )
    found: dict[str, set[str]] = {}
    for table, column in cursor.fetchall():
        found.setdefault(table, set()).add(column.lower())  # MySQL's column names know no case
    mistakes, counts = [], []
    for table, columns in _expected_columns(dataset).items():
        if table not in found:
            mistakes.append(f"table {table}: expected one, found {', '.join(sorted(found)) or 'no tables'}")
            continue
        mistakes += [f"{table}.{column}: no such column" for column in columns if column.lower() not in found[table]]
        cursor.execute(f"SELECT COUNT(*) FROM {quoted(table)}")  # noqa: S608
        counts.append(f"{cursor.fetchone()[0]:,} {table}")
    if mistakes:
        raise LocalRunError(f"source database {login.database} is not as dataset.toml says:\n" + "\n".join(mistakes))
    return ", ".join(counts)


def _expected_columns(dataset: Dataset) -> dict[str, list[str]]:
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    named = [items.name] if items.name else []
    return {
        users.table: [users.key, *(column.name for column in users.columns)],
        items.table: [items.key, *(column.name for column in items.columns), *named],
        ratings.table: _columns(dataset),
    }


def _columns(dataset: Dataset) -> list[str]:
    """The columns of the ratings table, and of its file."""
    return list(dataset.ratings.columns)


def _read_ratings(path: Path, dataset: Dataset) -> Iterator[list[str]]:
    expected = _columns(dataset)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        if header != expected:
            raise LocalRunError(f"{path}: expected the header {','.join(expected)}, found {','.join(header)[:200]!r}")
        for row in filter(None, reader):
            yield _checked([value.strip() for value in row], f"{path}, line {reader.line_num}", dataset)


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


_CHOOSES_DATABASE = re.compile(
    rb"\s*(?:(?:CREATE|DROP)\s+(?:DATABASE|SCHEMA)\b[^;]*|USE\s+`?[\w$]+`?\s*);\s*", re.IGNORECASE
)
"""A line of a dump that chooses where its tables go: they go to the database that the program names."""


def _execute_dump(login: Login, dump: Path) -> None:
    """Runs the dump through the server's own client, which knows all of the dumps' syntax and leaves bytes alone."""
    client = shutil.which("mariadb") or shutil.which("mysql")
    if client is None:
        raise LocalRunError("--sql-dump: the client program mariadb is missing: apt-get install mariadb-client")
    place = [f"--host={login.host}", f"--port={login.port}", f"--user={login.username}", login.database]
    with dump.open("rb") as lines, tempfile.TemporaryFile() as kept:
        kept.writelines(line for line in lines if not _CHOOSES_DATABASE.fullmatch(line))
        kept.seek(0)
        result = subprocess.run(
            [client, "--no-defaults", "--protocol=TCP", "--default-character-set=utf8mb4", "--binary-mode", *place],
            stdin=kept,
            env={"MYSQL_PWD": login.password},
            capture_output=True,
            check=False,
        )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace").strip().splitlines()
        raise LocalRunError(f"--sql-dump {dump}: {said[-1] if said else f'exit {result.returncode}'}")
