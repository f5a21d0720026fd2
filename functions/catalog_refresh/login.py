"""The login of the shop's MySQL, as the Glue job has it (docs/adr/0013), and connections over Python's driver."""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pymysql
from pymysql.cursors import SSCursor

from functions.shared.database import CERTIFICATES
from functions.shared.s3 import S3Reader

MYSQL_PORT = 3306
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Seconds in which the server must send the next rows of a result."""
WRITE_SECONDS = 600
"""Seconds for which the server waits until the next rows are taken. Its own 60 would end a result of which a portion is
embedded (`net_write_timeout`, "Server System Variables", MySQL 8.4 Reference Manual)."""

SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
"""Values of `sslMode` ("Configuration Properties", MySQL Connector/J Developer Guide). The default is PREFERRED."""

_TRUE = "true"


class SourceError(RuntimeError):
    """The shop's database cannot be read; the text says what was expected and found, and holds no password."""


class _LoginFile(msgspec.Struct):
    """The object that `components.SourceDatabase` writes."""

    url: str
    username: str
    password: str


@dataclass(frozen=True)
class SourceLogin:
    """Address and login. `options` are those of the JDBC driver, by lower-case name."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


def fetch(uri: str, s3: S3Reader) -> SourceLogin:
    """Reads the login from `s3://<bucket>/<key>`. Raises `SourceError` or `ObjectUnavailableError`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.open(bucket, key)
    try:
        return read_login(body.read(), uri)
    finally:
        body.close()


def read_login(content: bytes, place: str) -> SourceLogin:
    """Reads a login's JSON. Raises `SourceError`, whose text does not repeat the content."""
    try:
        file = msgspec.json.decode(content, type=_LoginFile)
    except msgspec.DecodeError as error:
        raise SourceError(f"{place}: expected JSON with url, username and password: {error}") from None
    try:
        parts = urlsplit(file.url.removeprefix("jdbc:"))
        host, port, database = parts.hostname, parts.port or MYSQL_PORT, parts.path.removeprefix("/")
    except ValueError:
        host = None
    if host is None or parts.scheme != "mysql" or not database:
        raise SourceError(f"{place}: url: expected jdbc:mysql://host:port/database, found another shape of URL")
    options = {name.lower(): value for name, value in parse_qsl(parts.query)}
    return SourceLogin(host, port, database, file.username, file.password, options)


@contextlib.contextmanager
def connected(login: SourceLogin) -> Iterator["pymysql.connections.Connection[SSCursor]"]:
    """Connects, with cursors that hold a portion of a result. Raises `SourceError`, also where the connection ends."""
    mode, context = tls(login.options)
    try:
        connection = pymysql.connect(
            host=login.host,
            port=login.port,
            user=login.user,
            # The package would encode a text as Latin-1; servers take the password's bytes as they are, in UTF-8.
            password=login.password.encode(),
            database=login.database,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            cursorclass=SSCursor,
            # The time zone is the one that the Glue job sets (etl/mysql.py), so that a TIMESTAMP reads the same.
            init_command=f"SET time_zone = '+00:00', SESSION net_write_timeout = {WRITE_SECONDS}",
            autocommit=True,
            ssl=context,
            ssl_disabled=mode == "DISABLED",
        )
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        raise SourceError(f"source database {login}: cannot be reached: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.err.MySQLError as error:
        raise SourceError(f"source database {login}: {error.args[-1]}") from error
    finally:
        # Not `close`, which would read what is left of a result that somebody stopped reading.
        connection._force_close()


def tls(options: Mapping[str, str]) -> tuple[str, Any]:
    """Returns the mode that the options of the JDBC driver ask for, and Python's settings (None for PREFERRED:
    encrypted where the server can). Raises `SourceError` for an unknown mode."""
    mode = options.get("sslmode", "").upper().replace("-", "_") or _older_mode(options)
    if mode not in SSL_MODES:
        raise SourceError(f"source database: sslMode: expected one of {', '.join(SSL_MODES)}, found {mode}")
    if mode in ("DISABLED", "PREFERRED"):
        return mode, None
    context = ssl.create_default_context(cafile=options.get("serversslcert"))
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("VERIFY") else ssl.CERT_NONE
    if CERTIFICATES.is_file():
        context.load_verify_locations(CERTIFICATES)
    # Authorities that servers make for themselves lack extensions.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return mode, context


def _older_mode(options: Mapping[str, str]) -> str:
    """Returns the mode by the options that `sslMode` has replaced: of Connector/J, and of MariaDB's driver 2.7, which
    this machine's job uses (its page "TLS parameters")."""
    if options.get("usessl", "").lower() != _TRUE:
        return "PREFERRED"
    if options.get("serversslcert"):
        any_host = options.get("disablesslhostnameverification", "").lower() == _TRUE
        return "VERIFY_CA" if any_host else "VERIFY_IDENTITY"
    verifies = options.get("verifyservercertificate", "").lower() == _TRUE
    return "VERIFY_CA" if verifies else "REQUIRED"
