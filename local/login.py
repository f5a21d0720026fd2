"""How the shop's MySQL is reached: a login, its URL, and connections."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
import pymysql.cursors

from emulator.errors import LocalRunError

MYSQL_PORT = 3306
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Login:
    """How to reach a MySQL database."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.username}@{self.host}:{self.port}/{self.database}"


def parse_url(url: str, ask_password: Callable[[str], str] = lambda who: "") -> Login:
    """Reads `mysql://user:password@host:port/database`; a password that it lacks is asked for.

    Raises `LocalRunError`, which does not repeat the password.
    """
    expected = "--source: expected mysql://user:password@host:port/database (special characters as %XX)"
    try:
        parts = urlsplit(url)
        port = parts.port or MYSQL_PORT
        database = unquote(parts.path.removeprefix("/"), errors="strict")
        username, password = (
            None if text is None else unquote(text, errors="strict") for text in (parts.username, parts.password)
        )
    except ValueError:
        raise LocalRunError(f"{expected}, found another shape of URL") from None
    if parts.scheme != "mysql" or not parts.hostname or not username or not database or "/" in database:
        raise LocalRunError(f"{expected}, found a URL without one of these parts")
    if parts.query or parts.fragment:
        raise LocalRunError(f"{expected}, found something after the database's name (# and ? are %23 and %3F)")
    if password is None:
        password = ask_password(f"{username}@{parts.hostname}")
    return Login(parts.hostname, port, database, username, password)


@contextlib.contextmanager
def connected(login: Login) -> Iterator["pymysql.connections.Connection[Any]"]:
    """A connection to the shop's database. Raises `LocalRunError` where there is none, or where it breaks off."""
    try:
        connection = pymysql.connect(
            host=login.host,
            port=login.port,
            user=login.username,
            # The package would encode a text as Latin-1; servers take the password's bytes as they are, in UTF-8.
            password=login.password.encode(),
            database=login.database,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
        )
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        raise LocalRunError(f"source database {login}: cannot be reached: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.err.MySQLError as error:
        raise LocalRunError(f"source database {login}: {error.args[-1]}") from error
    finally:
        connection.close()
