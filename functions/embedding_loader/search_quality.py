"""Chooses how far the searches of a version go: by what the index finds for its own customers, beside an exact scan.

How well an index finds depends on the vectors: a trained tower's lie less well than generated ones.
"""

from collections.abc import Sequence

import numpy as np
from psycopg import sql

from contracts.artifacts import Manifest
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving.connections import EF_SEARCH
from functions.shared.serving.store import Store
from functions.shared.vectors import Vectors
from functions.shared.versions import SearchQuality

CANDIDATES = (EF_SEARCH, 60, 100, 200, 400)
"""The values of `hnsw.ef_search` that are tried, until one finds enough."""
ENOUGH = 0.995
"""Recall@10 at which a search is good enough: 1 item of 200 is another one, about as near."""
LIMIT = 10
MOST_SEARCHES = 200
MOST_ROWS = 20_000_000
"""The most rows that the exact scans of all searches read: some seconds."""
SAME_SCORE = 1e-6
"""Items whose scores differ by less stand for each other: 32-bit floats tell them apart by rounding only."""

_SOME = sql.SQL("SELECT id FROM {} ORDER BY hashtext(id) LIMIT {}")


def searches(n_items: int) -> int:
    """Returns the number of customers that are searched for: fewer in a large catalogue, at least 20."""
    return max(20, min(MOST_SEARCHES, MOST_ROWS // max(1, n_items)))


def measure(connection: Connection, manifest: Manifest) -> SearchQuality | None:
    """Measures the searches of a version whose tables are filled and indexed, with its customers' vectors (without
    customers: its items')."""
    tables = Store(connection, manifest.version, manifest.similarity, manifest.dim)
    names = versions.tables(manifest.version)
    for table, read in (
        (names.users, tables.users),
        (names.items, lambda ids: tables.items(dict.fromkeys(ids, False))),
    ):
        rows = connection.execute(_SOME.format(table, sql.Literal(searches(manifest.n_items)))).fetchall()
        vectors = tables.unpack([found.vector for found in read([id_ for (id_,) in rows]).values()])
        vectors = vectors[[tables.can_search(vector) for vector in vectors]]
        if len(vectors):
            return choose(connection, tables, vectors)
    return None


def choose(connection: Connection, tables: Store, vectors: Vectors) -> SearchQuality:
    """The first candidate that finds enough for the vectors (n, dim), or the last. It leaves settings as they were."""
    with connection.transaction(force_rollback=True):
        # Without its index, the same statement reads all items. A plan that was kept would not know of the setting.
        connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        connection.execute("SET LOCAL enable_indexscan = off")
        exact = _scores(tables, vectors)
    for ef_search in CANDIDATES:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL hnsw.ef_search = {ef_search}")
            found = _scores(tables, vectors)
        quality = SearchQuality(ef_search, _recall(found, exact))
        if quality.recall >= ENOUGH:
            break
    return quality


def _scores(tables: Store, vectors: Vectors) -> list[list[float]]:
    return [[item.score for item in answer] for answer in tables.nearest(vectors, [()] * len(vectors), LIMIT)]


def _recall(found: Sequence[Sequence[float]], exact: Sequence[Sequence[float]]) -> float:
    """The share of the exact answers' places that are filled by an item as good as the last of them."""
    hits = [
        sum(score >= best[-1] - SAME_SCORE for score in answer) / len(best)
        for answer, best in zip(found, exact, strict=True)
        if best
    ]
    return float(np.mean(hits)) if hits else 1.0
