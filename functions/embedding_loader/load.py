"""Loads a version into PostgreSQL: a fresh schema, filled, indexed, tried and switched to in one transaction.

So a kill at any point is harmless: nothing of the version is left, and the active one was never touched.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from contracts.artifacts import (
    ITEM_EMBEDDINGS,
    MAX_SIMILAR_ITEMS,
    SCORE_DIGITS,
    USER_EMBEDDINGS,
    Manifest,
)
from functions.embedding_loader import reader, search_quality, trial
from functions.shared import precomputed, version_registry, versions
from functions.shared.artifact_bucket import ArtifactBucket, Published
from functions.shared.database import Connection
from functions.shared.serving import exclusions
from functions.shared.vectors import COPY_HEADER, COPY_TRAILER, pack_rows

HNSW_M = 16
HNSW_EF_CONSTRUCTION = 200
"""Longer to build than pgvector's 64, and ahead of it in queries at equal recall (docs/vector-store.md)."""

_TABLES = """
CREATE TABLE {items} (
    id text NOT NULL, embedding vector({dim}) NOT NULL, in_stock boolean NOT NULL DEFAULT true, attributes jsonb
);
ALTER TABLE {items} ALTER embedding SET STORAGE PLAIN;
CREATE TABLE {users} (id text NOT NULL, embedding vector({dim}) NOT NULL);
CREATE TABLE {similar_items} (id text NOT NULL, nearest text NOT NULL);
CREATE TABLE {recent_items} (user_id text NOT NULL, item_ids text[] NOT NULL, excluded jsonb);
CREATE TEMPORARY TABLE item_vectors (id text, embedding vector({dim})) ON COMMIT DROP;
ALTER TABLE item_vectors ALTER embedding SET STORAGE PLAIN;
CREATE TEMPORARY TABLE item_catalog (id text, in_stock boolean, popularity real, attributes jsonb) ON COMMIT DROP
"""

# Joined, and not updated: an update would leave a dead row for each item in the table that searches read.
_ITEMS = """
INSERT INTO {items} (id, embedding, in_stock, attributes)
SELECT v.id, v.embedding, coalesce(c.in_stock, true), c.attributes
FROM item_vectors v LEFT JOIN item_catalog c USING (id)
"""

_INDEXES = """
ALTER TABLE {items} ADD PRIMARY KEY (id);
ALTER TABLE {users} ADD PRIMARY KEY (id);
ALTER TABLE {recent_items} ADD PRIMARY KEY (user_id);
CREATE INDEX ON {items} USING hnsw (embedding {operator_class}) WITH (m = {m}, ef_construction = {ef}) WHERE in_stock;
CREATE INDEX ON {items} (id) WHERE NOT in_stock;
CREATE INDEX ON {items} USING gin (attributes jsonb_path_ops) WHERE in_stock;
ANALYZE {items};
ANALYZE {users};
ANALYZE {recent_items}
"""

# CREATE TABLE AS may run in parallel workers, INSERT … SELECT may not.
_POPULAR = """
CREATE TABLE {popular_items} AS
SELECT (row_number() OVER (ORDER BY popularity DESC, id))::int AS rank, id, popularity
FROM (
    SELECT id, popularity, count(*) FILTER (WHERE in_stock) OVER (ORDER BY popularity DESC, id) AS n_in_stock
    FROM (
        SELECT i.id, i.in_stock, coalesce(c.popularity, 0)::real AS popularity
        FROM {items} i LEFT JOIN item_catalog c USING (id)
    ) item
) counted
WHERE n_in_stock <= {popular}
ORDER BY rank;
ALTER TABLE {popular_items} ADD PRIMARY KEY (rank);
ANALYZE {popular_items}
"""
"""Sold-out items keep their place among those in stock: they may come back before the next training."""

# What the version's own file has no row of. CREATE TABLE AS may run in parallel workers, INSERT … SELECT may not.
_SIMILAR = (
    "CREATE TEMPORARY TABLE found_similar ON COMMIT DROP AS"  # noqa: S608
    + precomputed.NEAREST
    + """WHERE NOT EXISTS (SELECT FROM {similar_items} s WHERE s.id = q.id);
INSERT INTO {similar_items} SELECT id, nearest FROM found_similar;
ALTER TABLE {similar_items} ADD PRIMARY KEY (id);
ANALYZE {similar_items}
"""
)


def prepare(connection: Connection) -> None:
    """Makes the extension, the registry and the table of exclusions where they are missing."""
    with connection.transaction():
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        version_registry.prepare(connection)
        exclusions.prepare(connection)


def load(connection: Connection, bucket: ArtifactBucket, published: Published) -> dict[str, float]:
    """Loads a version that is not loaded yet, tries it, and switches to it unless a later published one is there.

    Returns the seconds of each stage. Raises `ManifestError`, `ModelError` or `TrialError` where the version cannot be
    served: nothing of it is left then.
    """
    manifest = published.manifest
    stages: dict[str, float] = {}
    with connection.transaction():
        with _stage(stages, "copy"):
            _copy(connection, bucket, manifest)
        build(connection, manifest, stages)
        with _stage(stages, "trial"):
            trial.try_version(connection, bucket, manifest)
        with _stage(stages, "search"):
            search = search_quality.measure(connection, manifest)
        if versions.register(connection, manifest.version, published.text, published.at, search):
            versions.switch(connection, manifest.version)
    return stages


def create_tables(connection: Connection, manifest: Manifest) -> None:
    """Makes the empty tables of a version, in a schema that exists."""
    _run(connection, _TABLES, manifest)


def build(connection: Connection, manifest: Manifest, stages: dict[str, float]) -> None:
    """Makes the indexes and the precomputed answers of filled tables; adds the seconds of each stage."""
    with _stage(stages, "index"):
        _set_build_memory(connection, manifest)
        _run(connection, _INDEXES, manifest)
    with _stage(stages, "popular"):
        _run(connection, _POPULAR, manifest)
    with _stage(stages, "similar"):
        precomputed.set_search(connection)
        # The planner takes a search for cheaper than it is, and would leave all of them to one process.
        for cost in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            connection.execute(f"SET LOCAL {cost} = 0")
        _run(connection, _SIMILAR, manifest)


def _copy(connection: Connection, bucket: ArtifactBucket, manifest: Manifest) -> None:
    tables = versions.tables(manifest.version)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(tables.schema))
    create_tables(connection, manifest)
    for name, table in ((ITEM_EMBEDDINGS, sql.Identifier("item_vectors")), (USER_EMBEDDINGS, tables.users)):
        copy_embeddings(connection, table, reader.embeddings(bucket, manifest, name))
    copy_rows(
        connection,
        sql.Identifier("item_catalog"),
        ["text", "bool", "float4", "jsonb"],
        (
            (*checked, None if attributes is None else Jsonb(attributes, dumps=str.encode))
            for *checked, attributes in reader.item_catalog(bucket, manifest)
        ),
    )
    _run(connection, _ITEMS, manifest)
    similar = ((id_, text) for id_, text, _ in reader.similar_items(bucket, manifest))
    copy_rows(connection, tables.similar_items, ["text", "text"], similar)
    copy_rows(
        connection,
        tables.recent_items,
        ["text", "text[]", "jsonb"],
        (
            (id_, recent, Jsonb(dict.fromkeys(excluded)) if excluded else None)
            for id_, recent, excluded in reader.user_catalog(bucket, manifest)
        ),
    )


def copy_embeddings(connection: Connection, table: sql.Identifier, chunks: Iterable[reader.Embeddings]) -> None:
    """Copies (id, embedding) rows into a table that was made in the same transaction."""
    # FREEZE: the rows need no later vacuum, and are seen as frozen by whoever sees the table at all.
    statement = sql.SQL("COPY {} (id, embedding) FROM STDIN (FORMAT binary, FREEZE)").format(table)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(COPY_HEADER)
        for chunk in chunks:
            for packed in pack_rows(chunk.ids, chunk.vectors):
                copy.write(packed)
        copy.write(COPY_TRAILER)


def copy_rows(connection: Connection, table: sql.Identifier, types: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Copies rows of these types into a table."""
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _set_build_memory(connection: Connection, manifest: Manifest) -> None:
    """An HNSW graph that does not fit into memory is built several times slower.

    A node takes its vector and about 2·m neighbours of 16 bytes on the ground level, and some more above. No more is
    asked for than the server's buffer cache has, which is a quarter of an RDS instance's memory.
    """
    needed_kb = manifest.n_items * (4 * manifest.dim + 2 * HNSW_M * 16 + 256) * 3 // 2 // 1024
    connection.execute(
        """
        SELECT set_config('maintenance_work_mem', greatest(
            pg_size_bytes(current_setting('maintenance_work_mem')) / 1024,
            least(%s, pg_size_bytes(current_setting('shared_buffers')) / 1024)
        )::text || 'kB', true)
        """,
        (needed_kb,),
    )


def _run(connection: Connection, statements: str, manifest: Manifest) -> None:
    tables = versions.tables(manifest.version)
    connection.execute(
        sql.SQL(statements).format(
            items=tables.items,
            users=tables.users,
            recent_items=tables.recent_items,
            popular_items=tables.popular_items,
            similar_items=tables.similar_items,
            operator=sql.SQL(versions.DISTANCE_OPERATOR[manifest.similarity]),
            operator_class=sql.SQL(versions.OPERATOR_CLASS[manifest.similarity]),
            dim=sql.Literal(manifest.dim),
            m=sql.Literal(HNSW_M),
            ef=sql.Literal(HNSW_EF_CONSTRUCTION),
            popular=sql.Literal(precomputed.POPULAR_ITEMS),
            similar=sql.Literal(MAX_SIMILAR_ITEMS),
            digits=sql.Literal(SCORE_DIGITS),
        )
    )


@contextmanager
def _stage(stages: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    stages[name] = round(time.perf_counter() - start, 3)
