"""A vector store for measurements: a private PostgreSQL, clustered vectors, filled by the loader's own code."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from psycopg import sql

from contracts.artifacts import ITEM_EMBEDDINGS, USER_EMBEDDINGS, Manifest
from emulator.postgres import Postgres
from functions.embedding_loader import load as loading
from functions.embedding_loader.reader import CHUNK_ROWS, Embeddings
from functions.shared import versions
from functions.shared.database import Connection, connect
from functions.shared.environment import Database
from functions.shared.serving import connections
from functions.shared.vectors import Vectors

DIM = 32
PASSWORD = "benchmark"
# A quarter of a 2 GiB instance (db.t4g.small), as RDS sets it.
SETTINGS = {"shared_buffers": "512MB", "maintenance_work_mem": "256MB"}


@contextmanager
def database() -> Iterator[tuple[Postgres, Database]]:
    with tempfile.TemporaryDirectory(prefix="recommender-benchmark-") as folder:
        server = Postgres(Path(folder), user="benchmark", password=PASSWORD, database="benchmark", settings=SETTINGS)
        server.start()
        try:
            # What only the limit needs: the server reads a file of its own machine.
            server.stop()
            server.as_superuser("GRANT pg_read_server_files TO benchmark")
            server.start()
            yield server, Database(server.host, server.port, "benchmark", "benchmark", PASSWORD)
        finally:
            server.stop()


@contextmanager
def connection(where: Database) -> Iterator[Connection]:
    with connect(where) as made:
        loading.prepare(made)
        connections.prepare(made)
        yield made


def clustered(count: int, seed: int = 1, clusters: int = 300) -> Vectors:
    """(count, DIM): around centres drawn with another seed, so that queries lie where items do."""
    centres = np.random.default_rng(0).normal(size=(clusters, DIM))
    dice = np.random.default_rng(seed)
    noise = 0.6 * dice.normal(size=(count, DIM))
    return (centres[dice.integers(clusters, size=count)] + noise).astype(np.float32)


def chunks(prefix: str, vectors: Vectors) -> Iterator[Embeddings]:
    for start in range(0, len(vectors), CHUNK_ROWS):
        part = vectors[start : start + CHUNK_ROWS]
        yield Embeddings([b"%s%d" % (prefix.encode(), start + n) for n in range(len(part))], part)


def make_table(made: Connection, name: str) -> sql.Identifier:
    table = sql.Identifier(name)
    made.execute(sql.SQL("CREATE TABLE {} (id text NOT NULL, embedding vector({}) NOT NULL)").format(table, DIM))
    return table


def load_version(
    made: Connection,
    vectors: Vectors,
    files: Mapping[str, str] | None = None,
    dataset: Mapping[str, Any] | None = None,
    similar: Sequence[tuple[str, str]] = (),
) -> tuple[Manifest, dict[str, float]]:
    """Loads and activates a version whose items and customers are the vectors, as the loader does from csv files.

    `files` are digests of the files that lie in the bucket, `similar` the rows of the version's similar items. Returns
    the manifest and the seconds of each stage.
    """
    count = len(vectors)
    version = f"2026110{2 if similar else 1}T000000Z-{count:06x}"
    embeddings = dict.fromkeys((ITEM_EMBEDDINGS, USER_EMBEDDINGS), "0" * 64)
    manifest = Manifest(version, DIM, "cosine", count, count, {**embeddings, **(files or {})}, dataset)
    tables = versions.tables(version)
    stages: dict[str, float] = {}
    with made.transaction():
        start = time.perf_counter()
        made.execute(sql.SQL("CREATE SCHEMA {}").format(tables.schema))
        loading.create_tables(made, manifest)
        loading.copy_embeddings(made, tables.items, chunks("I", vectors))
        loading.copy_embeddings(made, tables.users, chunks("", vectors))
        if similar:
            loading.copy_rows(made, tables.similar_items, ["text", "text"], similar)
        recent = (
            "INSERT INTO {} SELECT n, ARRAY['I' || n, 'I' || (n + 1), 'I' || (n + 2)] FROM generate_series(0, {}) n"
        )
        made.execute(sql.SQL(recent).format(tables.recent_items, sql.Literal(count - 3)))
        stages["copy"] = time.perf_counter() - start
        loading.build(made, manifest, stages)
        registered = (version, manifest.to_json())
        made.execute("INSERT INTO recommender.model_version (version, manifest) VALUES (%s, %s)", registered)
        versions.switch(made, version)
    return manifest, stages


def best_of(times: int, work: Callable[[], Any]) -> float:
    """The shortest of some runs, in seconds: what disturbs a run only ever makes it longer."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)
