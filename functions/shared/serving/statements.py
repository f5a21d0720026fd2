"""Composes the statements over one version's tables from their templates."""

from functools import lru_cache

from psycopg import sql

from contracts.artifacts import MAX_RECENT_ITEMS
from functions.shared import versions
from functions.shared.serving import exclusions
from functions.shared.serving.exclusions import Policy

_NO_ATTRIBUTES, _NO_VECTOR = sql.SQL("NULL::jsonb"), sql.SQL("NULL::vector")
"""They take the columns' places where they are not asked for, or the version has no attributes."""


@lru_cache(maxsize=64)
def compose(
    template: str,
    version: str,
    similarity: str,
    limit: int,
    has_exclusions: bool,
    columns: tuple[bool, bool],
    policy: Policy,
) -> bytes:
    """Returns a statement's text. It is cached, because this costs as much as a small batch's search."""
    tables = versions.tables(version)
    composed = sql.SQL(template).format(
        users=tables.users,
        recent_items=tables.recent_items,
        recent=sql.Literal(MAX_RECENT_ITEMS),
        items=tables.items,
        similar_items=tables.similar_items,
        popular_items=tables.popular_items,
        attributes=sql.SQL("i.attributes") if columns[0] else _NO_ATTRIBUTES,
        embedding=sql.SQL("i.embedding") if columns[1] else _NO_VECTOR,
        **exclusions.fragments(tables.recent_items if has_exclusions else None, policy),
        operator=sql.SQL(versions.DISTANCE_OPERATOR[similarity]),
        limit=sql.Literal(limit),
    )
    return composed.as_bytes(None)
