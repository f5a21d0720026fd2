"""Connections of Python's driver to the shop's MySQL or MariaDB, for all parts that open one."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

MYSQL_PORT = 3306
CONNECT_SECONDS = 10
TLS_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
"""Values of mysql's `--ssl-mode` ("Command Options for Encrypted Connections", MySQL 8.4 Reference Manual), and of
Connector/J's `sslMode`. The default of both is PREFERRED: encrypted if the server can."""


class SourceError(RuntimeError):
    """The shop's database cannot be read; the text says what was expected and found, and holds no password."""


@dataclass(frozen=True)
class Tls:
    """How a connection is encrypted."""

    mode: str = "PREFERRED"
    ca: str = ""
    """A file with the authorities' certificates (PEM), if the mode verifies the server's certificate."""

    @property
    def verifies(self) -> bool:
        return self.mode.startswith("VERIFY")

    def context(self, *more_authorities: Path) -> ssl.SSLContext | None:
        """Returns the settings of Python's connections, None for DISABLED and PREFERRED. Raises `OSError` for a file
        that is no PEM."""
        if self.mode in ("DISABLED", "PREFERRED"):
            return None
        context = ssl.create_default_context(cafile=self.ca or None)
        for authorities in more_authorities:
            context.load_verify_locations(authorities)
        # The certificates of authorities that servers generate themselves lack extensions.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
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


@contextlib.contextmanager
def connected(
    login: Login, *more_authorities: Path, failure: type[Exception] = SourceError, **options: Any
) -> Iterator["pymysql.connections.Connection[Any]"]:
    """Connects; `options` are PyMySQL's.

    Raises `failure` if the server cannot be reached, or the connection breaks off.
    """
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
            ssl=login.tls.context(*more_authorities),
            ssl_disabled=login.tls.mode == "DISABLED",
            **options,
        )
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        raise failure(f"source database {login}: cannot be reached: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.err.MySQLError as error:
        raise failure(f"source database {login}: {error.args[-1]}") from error
    finally:
        connection.close()
