"""Access to the shop's MySQL: a login, its URL, and connections."""

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
import pymysql.cursors

from emulator.errors import LocalRunError

MYSQL_PORT = 3306
CONNECT_SECONDS = 10
TLS_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
"""Values of mysql's `--ssl-mode`. The default is PREFERRED: encrypted if the server can."""


@dataclass(frozen=True)
class Tls:
    """The options `--ssl-mode` and `--ssl-ca` of mysql's client ("Command Options for Encrypted Connections")."""

    mode: str = "PREFERRED"
    ca: str = ""
    """A file with the authorities' certificates (PEM), if the mode verifies the server's certificate."""

    @property
    def verifies(self) -> bool:
        return self.mode.startswith("VERIFY")

    @property
    def jdbc_options(self) -> str:
        """Parameters for the driver of this machine's job, MariaDB's 2.7, which has no `sslMode` (its page "TLS
        parameters").

        It lacks PREFERRED too, which is replaced before (`settled`).
        """
        if self.mode == "DISABLED":
            return ""
        if not self.verifies:
            return "useSsl=true&trustServerCertificate=true"
        any_host = "&disableSslHostnameVerification=true" if self.mode == "VERIFY_CA" else ""
        return f"useSsl=true&serverSslCert={self.ca}{any_host}"

    def context(self) -> ssl.SSLContext | None:
        """Returns the settings of Python's connections, None for PREFERRED, their default. Raises `OSError` for a file
        that is no PEM."""
        if self.mode in ("DISABLED", "PREFERRED"):
            return None
        context = ssl.create_default_context(cafile=self.ca or None)
        context.verify_flags &= (
            ~ssl.VERIFY_X509_STRICT
        )  # The certificates of authorities that servers generate themselves lack extensions.
        context.check_hostname = self.mode == "VERIFY_IDENTITY"
        context.verify_mode = ssl.CERT_REQUIRED if self.verifies else ssl.CERT_NONE
        return context


@dataclass(frozen=True)
class Login:
    """Address and login of a MySQL database."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    tls: Tls = Tls()

    def __str__(self) -> str:
        return f"{self.username}@{self.host}:{self.port}/{self.database}"


def parse_url(url: str, ask_password: Callable[[str], str] = lambda who: "") -> Login:
    """Reads `mysql://user:password@host:port/database?ssl-mode=…&ssl-ca=…`, and asks for a missing password.

    Raises `LocalRunError`, whose text does not repeat the password.
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
    if parts.fragment:
        raise LocalRunError(f"{expected}, found # after the database's name (# and ? are %23 and %3F)")
    tls = _tls(parts.query)
    if password is None:
        password = ask_password(f"{username}@{parts.hostname}")
    return Login(parts.hostname, port, database, username, password, tls)


def _tls(query: str) -> Tls:
    """Reads `ssl-mode=…&ssl-ca=…`. Raises `LocalRunError` for an unknown, wrong or missing value."""
    options = parse_qsl(query, keep_blank_values=True)
    given = dict(options)
    if given.keys() - {"ssl-mode", "ssl-ca"} or len(given) != len(options) or (query and not options):
        raise LocalRunError(
            "--source: expected ssl-mode and ssl-ca, once each, after the database's name, found "
            f"{', '.join(name for name, _ in options) or query!r} (a ? of a name is %3F)"
        )
    ca = given.get("ssl-ca")
    tls = Tls(given.get("ssl-mode", "VERIFY_CA" if ca else "PREFERRED").upper(), str(Path(ca).absolute()) if ca else "")
    if tls.mode not in TLS_MODES:
        raise LocalRunError(f"--source: ssl-mode: expected one of {', '.join(TLS_MODES)}, found {given['ssl-mode']!r}")
    if tls.verifies and not ca:
        raise LocalRunError(f"--source: ssl-mode={tls.mode}: expected ssl-ca=<file of the authority, PEM> beside it")
    if ca and not tls.verifies:
        raise LocalRunError(f"--source: ssl-ca: expected ssl-mode=VERIFY_CA or VERIFY_IDENTITY, found {tls.mode}")
    if re.search(r"[&?=]", tls.ca):
        raise LocalRunError(
            f"--source: ssl-ca={tls.ca}: expected a path without & ? =, which the JDBC driver splits at"
        )
    try:
        tls.context()
    except OSError as error:
        raise LocalRunError(f"--source: ssl-ca={tls.ca}: expected certificates (PEM): {error.strerror}") from error
    return tls


def settled(login: Login) -> Login:
    """Returns the login with PREFERRED replaced by a mode that the server has. Raises `LocalRunError` if it cannot be
    reached."""
    if login.tls.mode != "PREFERRED":
        return login
    with connected(login) as connection:
        return replace(login, tls=Tls("REQUIRED" if connection._secure else "DISABLED"))


@contextlib.contextmanager
def connected(login: Login) -> Iterator["pymysql.connections.Connection[Any]"]:
    """Connects to the shop's database. Raises `LocalRunError` if it cannot be reached, or the connection breaks off."""
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
            ssl=login.tls.context(),
            ssl_disabled=login.tls.mode == "DISABLED",
        )
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        raise LocalRunError(f"source database {login}: cannot be reached: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.err.MySQLError as error:
        raise LocalRunError(f"source database {login}: {error.args[-1]}") from error
    finally:
        connection.close()
