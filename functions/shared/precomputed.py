"""The lists that are kept with a version: the loader computes them for all items, a refresh for new ones."""

from typing import LiteralString

from contracts.artifacts import MAX_EXCLUDED_ITEMS
from contracts.events import MAX_HISTORY, NOTED
from functions.shared.database import Connection
from functions.shared.environment import MAX_RECOMMENDATIONS

POPULAR_ITEMS = (1 + len(NOTED)) * MAX_EXCLUDED_ITEMS + MAX_HISTORY + MAX_RECOMMENDATIONS
"""The number of popular items that are kept. A full list is left even if all that can be excluded are among them."""
EF_SEARCH = 40

NEAREST: LiteralString = """
SELECT q.id, n.nearest
FROM {items} q CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(
        json_build_array(near.id, round(near.distance::numeric, {digits})) ORDER BY near.distance, near.id
    ), '[]')::text AS nearest
    FROM (
        SELECT i.id, i.embedding {operator} q.embedding AS distance FROM {items} i
        WHERE i.in_stock AND i.id <> q.id ORDER BY i.embedding {operator} q.embedding LIMIT {similar}
    ) near
) n
"""
"""Selects (id, nearest) of the items `q`: JSON, `[[id, distance], …]`, the nearest first."""


def set_search(connection: Connection) -> None:
    """Sets how far the transaction's searches for nearest items go."""
    connection.execute(f"SET LOCAL hnsw.ef_search = {EF_SEARCH}")
    connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
