"""Load, index and query of the vector store at growing sizes, each beside the limit in the same run.

python -m benchmarks.vector_store [--sizes 1000 10000 100000] [--ef-search 80]
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks import shop
from contracts.artifacts import SCORE_DIGITS
from emulator.postgres import Postgres
from functions.embedding_loader import load as loading
from functions.shared.database import Connection
from functions.shared.serving import connections
from functions.shared.serving import store as retrieval
from functions.shared.vectors import COPY_HEADER, COPY_TRAILER, Vectors, pack_rows
from training.similar import nearest

BATCH, TOP = 500, 10
# The least cost of a batch: the same search with the index's own filter only, and no further work on the rows.
BARE = """
SELECT query.n, near.id, near.distance
FROM unnest(%s) WITH ORDINALITY AS query (vector, n) CROSS JOIN LATERAL (
    SELECT i.id, i.embedding <=> query.vector AS distance FROM {items} i
    WHERE i.in_stock ORDER BY i.embedding <=> query.vector LIMIT {limit}
) near
"""

ONE = """
SELECT i.id, i.embedding <=> %s AS distance FROM {items} i
WHERE i.in_stock AND i.id <> ALL (%s::text[]) ORDER BY i.embedding <=> %s LIMIT {limit}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--ef-search", type=int, nargs="+", default=[connections.EF_SEARCH])
    arguments = parser.parse_args()
    console = Console()
    with shop.database() as (server, where), shop.connection(where) as connection:
        for size in arguments.sizes:
            vectors = shop.clustered(size)
            console.print(_load_table(server, connection, vectors))
            _, searched = shop.load_version(connection, vectors)
            similar, seconds = _similar(vectors)
            manifest, brought = shop.load_version(connection, vectors, similar=similar)
            console.print(_stage_table(searched, brought, size))
            console.print(f"similar items in training, on {torch.get_num_threads()} threads: {seconds:.1f} s")
            store = retrieval.Store(connection, manifest.version, "cosine", shop.DIM)
            for ef_search in arguments.ef_search:
                connection.execute(f"SET hnsw.ef_search = {ef_search}")
                console.print(_query_table(connection, store, vectors, ef_search))
            console.print(_look_up_table(store, size))


def _load_table(server: Postgres, connection: Connection, vectors: Vectors) -> Table:
    """Measures COPY alone: by the loader's own code, and by the server from a prepared file."""
    ready = server.folder / "ready.bin"
    with ready.open("wb") as file:
        file.write(COPY_HEADER)
        for chunk in shop.chunks("I", vectors):
            file.writelines(pack_rows(chunk.ids, chunk.vectors))
        file.write(COPY_TRAILER)
    ready.chmod(0o644)
    chunks = list(shop.chunks("I", vectors))

    def load(copy: Any) -> float:
        def run() -> None:
            with connection.transaction(force_rollback=True):
                copy(shop.make_table(connection, "loaded"))

        return len(vectors) / shop.best_of(5, run)

    own = load(lambda table: loading.copy_embeddings(connection, table, chunks))
    limit = load(lambda table: _copy_ready(connection, table, ready))
    table = Table("COPY", "rows/s", "of the limit", title=f"Load, {len(vectors):,} rows of {shop.DIM} dimensions")
    table.add_row("the loader", f"{own:,.0f}", f"{own / limit:.0%} (to reach: 50%)")
    table.add_row("limit: the server reads a prepared file", f"{limit:,.0f}", "")
    return table


def _copy_ready(connection: Connection, table: sql.Identifier, ready: Path) -> None:
    statement = "COPY {} (id, embedding) FROM {} (FORMAT binary, FREEZE)"
    connection.execute(sql.SQL(statement).format(table, sql.Literal(str(ready))))


def _similar(vectors: Vectors) -> tuple[list[tuple[str, str]], float]:
    """Returns the rows of similar items as training makes them, and the seconds that it takes."""
    start = time.perf_counter()
    found = nearest(vectors, np.ones(len(vectors), dtype=bool), "cosine")
    rows = [
        (f"I{n}", json.dumps([[f"I{item}", round(float(far), SCORE_DIGITS)] for item, far in zip(*near, strict=True)]))
        for n, near in enumerate(found)
    ]
    return rows, time.perf_counter() - start


def _stage_table(searched: Mapping[str, float], brought: Mapping[str, float], count: int) -> Table:
    """Seconds of each stage: `searched`, where the load searches for similar items; `brought`, where the version has
    them."""
    table = Table(
        "stage",
        "seconds, similar items searched for",
        "brought by the version",
        title=f"A version as the loader makes it, {count:,} items and customers",
    )
    for stage, seconds in searched.items():
        table.add_row(stage, f"{seconds:.2f}", f"{brought[stage]:.2f}")
    whole = sum(brought.values()) / sum(searched.values())
    table.add_row(
        "all", f"{sum(searched.values()):.1f}", f"{sum(brought.values()):.1f}: {whole:.0%} of the time (to reach: 50%)"
    )
    return table


def _query_table(connection: Connection, store: retrieval.Store, vectors: Vectors, ef_search: int) -> Table:
    queries = shop.clustered(BATCH, seed=2)
    excluded = [[f"I{n}", f"I{n + 1}", "no such"] for n in range(BATCH)]
    bare = store.statement(BARE, TOP)
    one = store.statement(ONE, TOP)

    def run_bare() -> None:
        connection.cursor(binary=True).execute(bare, [list(queries)], prepare=True).fetchall()

    def run_separate() -> None:
        cursor = connection.cursor(binary=True)
        for query, out in zip(queries, excluded, strict=True):
            text = str(query.tolist())
            cursor.execute(one, [text, out, text], prepare=True).fetchall()

    def run_store() -> None:
        store.nearest(queries, excluded, TOP)

    rates: dict[str, float] = {}
    for name, work in (
        ("store", run_store),
        ("bare", run_bare),
        ("separate", run_separate),
    ) * 2:
        rates[name] = max(rates.get(name, 0.0), BATCH / shop.best_of(4, work))
    recall = _recall(store, vectors, queries)
    table = Table(
        f"batches of {BATCH}", "queries/s", "", title=f"Top {TOP} of {len(vectors):,} items, ef_search {ef_search}"
    )
    of_bare, of_separate = rates["store"] / rates["bare"], rates["store"] / rates["separate"]
    table.add_row("the store, with filters", f"{rates['store']:,.0f}", f"recall@{TOP} {recall:.3f} (to reach: 0.95)")
    table.add_row("limit: the bare statement", f"{rates['bare']:,.0f}", f"store: {of_bare:.0%} (to reach: 80%)")
    table.add_row(
        "separate prepared statements", f"{rates['separate']:,.0f}", f"store: {of_separate:.1f} times (to reach: 2)"
    )
    return table


def _recall(store: retrieval.Store, vectors: Vectors, queries: Vectors) -> float:
    found = store.nearest(queries, [[]] * len(queries), TOP)
    normed = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = np.argpartition(-(queries @ normed.T), TOP, axis=1)[:, :TOP]
    hits = [len({item.id for item in a} & {f"I{n}" for n in e}) for a, e in zip(found, exact, strict=True)]
    return sum(hits) / (TOP * len(queries))


def _look_up_table(store: retrieval.Store, size: int) -> Table:
    dice = np.random.default_rng(4)
    table = Table("look-ups by key, batches of", "rows/s", title=f"Of {size:,} rows")
    for count in (500, 5_000):
        ids = [f"I{n}" for n in dice.integers(size, size=count)]
        similar = count / shop.best_of(7, lambda ids=ids: store.items(dict.fromkeys(ids, True)))  # type: ignore[misc]
        table.add_row(f"{count}: vector and similar items (to reach: 100,000)", f"{similar:,.0f}")
        users = [f"{n}" for n in dice.integers(size, size=count)]
        rate = count / shop.best_of(7, lambda users=users: store.users(users))  # type: ignore[misc]
        table.add_row(f"{count}: customers", f"{rate:,.0f}")
    return table


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
