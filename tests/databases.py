"""MariaDB for tests: one server, a database of its own for each test."""

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from emulator.mariadb import MariaDB
from local.shop import Login

MASTER = ("admin", "master-password")


@contextmanager
def running_mariadb() -> Iterator[MariaDB]:
    with tempfile.TemporaryDirectory(prefix="mariadb-test-") as folder:
        server = MariaDB(Path(folder), user=MASTER[0], password=MASTER[1])
        server.start()
        try:
            yield server
        finally:
            server.stop()


def new_database(server: MariaDB) -> Login:
    login = Login(server.host, server.port, f"shop_{uuid.uuid4().hex[:8]}", *MASTER)
    execute(Login(server.host, server.port, "mysql", *MASTER), [f"CREATE DATABASE {login.database}"])
    return login


def execute(login: Login, statements: Iterable[str]) -> list[tuple[object, ...]]:
    """Runs the statements and returns the last one's rows."""
    with (
        pymysql.connect(
            host=login.host,
            port=login.port,
            user=login.username,
            password=login.password,
            database=login.database,
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())
