"""MariaDB for tests: one server, a database of its own for each test."""

import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from contracts.mysql import Login, connected
from emulator import mariadb
from emulator.mariadb import MariaDB

MASTER = ("admin", "master-password")


@contextmanager
def running_tls_mariadb() -> Iterator[tuple[MariaDB, Path]]:
    """A server that lets its user log in encrypted only, and its certificate, of 127.0.0.1 and its own authority."""
    with tempfile.TemporaryDirectory(prefix="mariadb-tls-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o755)  # the server runs as another user
        certificate, key = make_certificate(folder)
        patch.setattr(mariadb, "_SETTINGS", (*mariadb._SETTINGS, f"--ssl-cert={certificate}", f"--ssl-key={key}"))
        with running_mariadb() as server:
            login = Login(server.host, server.port, "mysql", *MASTER)
            execute(login, [f"CREATE USER 'tls'@'%' IDENTIFIED BY '{MASTER[1]}' REQUIRE SSL",
                            "GRANT ALL PRIVILEGES ON *.* TO 'tls'@'%'"])  # fmt: skip
            yield server, certificate


def make_certificate(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    command += ["-addext", f"subjectAltName=IP:{host}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o644)
    return certificate, key


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


def source_url(login: Login) -> str:
    """The value of `--source` for the database."""
    password = quote(login.password, safe="")
    return f"mysql://{login.username}:{password}@{login.host}:{login.port}/{login.database}"


def execute(login: Login, statements: Iterable[str]) -> list[tuple[object, ...]]:
    """Runs the statements and returns the last one's rows."""
    with connected(login, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())
