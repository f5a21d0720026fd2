"""PostgreSQL and S3 for all tests of the functions, and an empty vector store for each that asks for one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from emulator.ministack import MiniStack
from emulator.postgres import Postgres
from functions.model_inference import handler as inference
from functions.recommendation_api import handler as api
from functions.recommendation_api.service import Memory
from functions.shared.database import Connection, connect
from functions.shared.environment import Database
from tests.functions.lambdas import load
from tests.functions.worlds import World

PASSWORD = "pass'word \\ 1"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's own folder: every pytest that starts shuts other users out of it, and PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="recommender-") as folder:
        server = Postgres(Path(folder), user="master", password=PASSWORD, database="vectors")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    folder: Path = tmp_path_factory.mktemp("s3")
    server = MiniStack(folder / "data", folder / "ministack.log")
    server.start()
    server.client("s3").create_bucket(Bucket="artifacts")
    yield server
    # MiniStack waits ten seconds for a client that keeps its connection open.
    server.client("s3").close()
    server.stop()


@dataclass(frozen=True)
class Store:
    """The services that the functions of a test use."""

    database: Database
    connection: Connection
    s3: Any
    bucket: str = "artifacts"

    def serve(self, *shops: World) -> None:
        """Publishes each version and loads it, so that the last one is active."""
        for shop in shops:
            shop.publish(self.s3, self.bucket)
            load(self.bucket, shop.version)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Cuts the functions' connections, and refuses new ones."""
        with connect(replace(self.database, name="vectors")) as admin:
            admin.execute("ALTER DATABASE store ALLOW_CONNECTIONS false")
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'store' AND pid <> %s",
                (self.connection.info.backend_pid,),
            )
            try:
                yield
            finally:
                admin.execute("ALTER DATABASE store ALLOW_CONNECTIONS true")


@pytest.fixture
def store(postgres: Postgres, ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A database of its own, the functions' environment set to it, and no warm state."""
    database = Database(postgres.host, postgres.port, "store", postgres.user, PASSWORD)
    admin = connect(Database(postgres.host, postgres.port, postgres.database, postgres.user, PASSWORD))
    admin.execute("DROP DATABASE IF EXISTS store WITH (FORCE)")
    admin.execute("CREATE DATABASE store")
    admin.close()
    variables = {
        "VECTOR_DB_HOST": database.host,
        "VECTOR_DB_PORT": str(database.port),
        "VECTOR_DB_NAME": database.name,
        "VECTOR_DB_USER": database.user,
        "VECTOR_DB_PASSWORD": PASSWORD,
        "ML_ARTIFACTS_BUCKET": "artifacts",
        **ministack.environment(ministack.root),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for handler in (inference, api):
        monkeypatch.setattr(handler, "_inference", None)
    monkeypatch.setattr(api, "_memory", Memory())
    with connect(database) as connection:
        yield Store(database, connection, ministack.client("s3"))
    for warm in (inference._inference, api._inference):
        if warm is not None:
            warm._connection.drop()
            warm._bucket.close()
            warm.rules.close()


def versions_of(connection: psycopg.Connection[Any]) -> list[str]:
    """The schemas of versions that are in the database."""
    rows = connection.execute(r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'model\_%' ORDER BY 1").fetchall()
    return [name for (name,) in rows]
