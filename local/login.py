"""Access to the shop's MySQL from the command line: the URL of a login, and connections."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pymysql.connections import Connection

from contracts import mysql
from contracts.mysql import MYSQL_PORT, TLS_MODES, Login, Tls
from emulator.errors import LocalRunError


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


def connected(login: Login) -> AbstractContextManager["Connection[Any]"]:
    """Connects to the shop's database. Raises `LocalRunError` if it cannot be reached, or the connection breaks off."""
    return mysql.connected(login, failure=LocalRunError)


def jdbc_options(tls: Tls) -> str:
    """Returns parameters for the driver of this machine's job, MariaDB's 2.7, which has no `sslMode` (its page "TLS
    parameters").

    It lacks PREFERRED too, which is replaced before (`settled`).
    """
    if tls.mode == "DISABLED":
        return ""
    if not tls.verifies:
        return "useSsl=true&trustServerCertificate=true"
    any_host = "&disableSslHostnameVerification=true" if tls.mode == "VERIFY_CA" else ""
    return f"useSsl=true&serverSslCert={tls.ca}{any_host}"
