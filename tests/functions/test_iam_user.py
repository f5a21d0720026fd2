"""The database user that functions log in as by IAM, made by the master user, on a server with RDS's login rules."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from emulator.postgres import Postgres
from functions.embedding_loader import handler as loader
from functions.embedding_loader import load
from functions.shared import versions
from functions.shared.database import Connection, connect
from functions.shared.environment import Database
from tests.functions.conftest import PASSWORD
from tests.functions.lambdas import Context

USER = "app_by_iam"
EVENT = {"action": "grant_iam", "user": USER, "master_user": "master", "master_password": PASSWORD}

LOGIN_RULES = f"""
# RDS has `hostssl all +rds_iam all pam`: its members, those of its members included, have no other way in. The local
# master is a member by the right to grant it, so the rule names the user; `trust` stands for a valid token.
host all {USER} 127.0.0.1/32 trust
host all +{USER} 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The functions' settings, as master; the server is new, so that no role is left of another test."""
    with tempfile.TemporaryDirectory(prefix="recommender-") as folder:
        # As root the server runs as a user of its own, which must reach the rules.
        Path(folder).chmod(0o711)
        rules = Path(folder) / "pg_hba.conf"
        rules.write_text(LOGIN_RULES)
        rules.chmod(0o644)
        server = Postgres(
            Path(folder) / "server", user="master", password=PASSWORD, database="v", settings={"hba_file": str(rules)}
        )
        server.start()
        database = Database(server.host, server.port, "v", "master", PASSWORD)
        for name, value in {"HOST": database.host, "PORT": str(database.port), "NAME": "v"}.items():
            monkeypatch.setenv(f"VECTOR_DB_{name}", value)
        monkeypatch.setenv("VECTOR_DB_USER", "master")
        monkeypatch.setenv("VECTOR_DB_PASSWORD", PASSWORD)
        monkeypatch.setenv("ML_ARTIFACTS_BUCKET", "artifacts")
        yield database
        server.stop()


def by_iam(database: Database) -> Connection:
    return connect(replace(database, user=USER, password=""))


def make_version(connection: Connection, name: str) -> None:
    load.prepare(connection)
    connection.execute(f"CREATE SCHEMA model_{name}; CREATE TABLE model_{name}.items (id text)")


def drop_version(connection: Connection, name: str) -> None:
    connection.execute(f"DROP SCHEMA model_{name} CASCADE")
    assert versions.loaded(connection) == []


def test_the_master_keeps_its_password_login_also_when_the_grant_is_repeated(database: Database) -> None:
    for _ in range(2):  # a deployment may come again
        assert loader.handler(dict(EVENT), Context()) == {"user": USER}
    with connect(database) as master, by_iam(database) as user:
        member = master.execute("SELECT pg_has_role(%s, 'rds_iam', 'member')", [USER]).fetchone()
        assert member == (True,)
        make_version(user, "x")
        drop_version(user, "x")


def test_who_creates_a_role_the_plain_way_is_locked_out(database: Database) -> None:
    with connect(database) as master:
        master.execute(f"CREATE ROLE {USER} LOGIN")
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        connect(database)


def test_authentication_is_switched_on_a_live_store_and_back(database: Database) -> None:
    with connect(database) as master:
        make_version(master, "by_password")
    loader.handler(dict(EVENT), Context())
    with by_iam(database) as user:
        drop_version(user, "by_password")
        make_version(user, "by_iam")
    with connect(database) as master:
        drop_version(master, "by_iam")
        make_version(master, "by_password_again")
    loader.handler(dict(EVENT), Context())
    with by_iam(database) as user:
        drop_version(user, "by_password_again")


def test_an_incomplete_request_is_refused_without_repeating_the_password(database: Database) -> None:
    with pytest.raises(loader.EventError, match="master_user missing") as error:
        loader.handler({"action": "grant_iam", "user": USER, "master_password": "hidden"}, Context())
    assert "hidden" not in str(error.value)
