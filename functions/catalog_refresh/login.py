"""The login of the shop's MySQL, as the Glue job has it (docs/adr/0013), and connections over Python's driver."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from urllib.parse import parse_qsl, urlsplit

import msgspec
from pymysql.connections import Connection
from pymysql.cursors import SSCursor

from contracts import mysql
from contracts.mysql import MYSQL_PORT, TLS_MODES, Login, SourceError, Tls
from functions.shared.database import CERTIFICATES
from functions.shared.s3 import S3Reader

READ_SECONDS = 60
"""Seconds in which the server must send the next rows of a result."""
WRITE_SECONDS = 600
"""Seconds for which the server waits until the next rows are taken. Its own 60 would end a result of which a portion is
embedded (`net_write_timeout`, "Server System Variables", MySQL 8.4 Reference Manual)."""

_TRUE = "true"


class _LoginFile(msgspec.Struct):
    """The object that `components.SourceDatabase` writes."""

    url: str
    username: str
    password: str


def fetch(uri: str, s3: S3Reader) -> Login:
    """Reads the login from `s3://<bucket>/<key>`. Raises `SourceError` or `ObjectUnavailableError`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.open(bucket, key)
    try:
        return read_login(body.read(), uri)
    finally:
        body.close()


def read_login(content: bytes, place: str) -> Login:
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
    return Login(host, port, database, file.username, file.password, tls_of(options))


def connected(login: Login) -> AbstractContextManager["Connection[SSCursor]"]:
    """Connects, with cursors that hold a portion of a result. Raises `SourceError`."""
    return mysql.connected(
        login,
        CERTIFICATES,
        read_timeout=READ_SECONDS,
        cursorclass=SSCursor,
        # The time zone is the one that the Glue job sets (etl/mysql.py), so that a TIMESTAMP reads the same.
        init_command=f"SET time_zone = '+00:00', SESSION net_write_timeout = {WRITE_SECONDS}",
        autocommit=True,
    )


def tls_of(options: Mapping[str, str]) -> Tls:
    """Returns the encryption that the options of the JDBC driver, by lower-case name, ask for. Raises `SourceError` for
    an unknown mode."""
    mode = options.get("sslmode", "").upper().replace("-", "_") or _older_mode(options)
    if mode not in TLS_MODES:
        raise SourceError(f"source database: sslMode: expected one of {', '.join(TLS_MODES)}, found {mode}")
    return Tls(mode, options.get("serversslcert", ""))


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
