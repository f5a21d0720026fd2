"""Model versions in the vector store: a schema each, one pointer to the active one, and the tables' names."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from functions.shared.database import Connection
from functions.shared.version_registry import has_column

_ACTIVE = """
SELECT a.version, CASE WHEN a.version IS DISTINCT FROM %s THEN m.manifest END
FROM recommender.active_version a JOIN recommender.model_version m USING (version)
"""

_SWITCH = """
INSERT INTO recommender.active_version (version) VALUES (%s)
ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, since = now()
"""

_SERVED_NEXT = """
SELECT m.version, m.manifest
FROM recommender.model_version m
JOIN recommender.active_version a ON true JOIN recommender.model_version active ON active.version = a.version
WHERE (m.published_at, m.loaded_at) >= (active.published_at, active.loaded_at)
ORDER BY m.version <> a.version, m.published_at, m.loaded_at
"""

_BEFORE = """
SELECT version, manifest FROM recommender.model_version
WHERE activated_at IS NOT NULL AND version NOT IN (SELECT version FROM recommender.active_version)
ORDER BY activated_at DESC
"""

_DROPPABLE = """
SELECT version FROM (
    SELECT version, published_at, loaded_at, pinned,
        row_number() OVER (ORDER BY published_at DESC, loaded_at DESC) <= %(newest)s AS is_new,
        activated_at IS NOT NULL
            AND row_number() OVER (ORDER BY activated_at DESC NULLS LAST) <= %(active)s AS was_active
    FROM recommender.model_version
) v
WHERE NOT pinned AND NOT is_new AND NOT was_active
    AND version NOT IN (SELECT version FROM recommender.active_version)
ORDER BY published_at, loaded_at
"""

DISTANCE_OPERATOR = {"cosine": "<=>", "inner_product": "<#>"}
OPERATOR_CLASS = {"cosine": "vector_cosine_ops", "inner_product": "vector_ip_ops"}
# A score is better the larger it is: cosine similarity, and the inner product (pgvector gives its negative).
SCORE_OFFSET = {"cosine": 1.0, "inner_product": 0.0}


class NoActiveVersionError(RuntimeError):
    """No model version was loaded yet."""

    def __init__(self) -> None:
        super().__init__("vector store: no model version is active: publish one, its manifest starts the load")


class NotActiveError(RuntimeError):
    """The version that was taken for the active one is not, or no longer."""


class UnknownVersionError(ValueError):
    """A version that is not loaded."""


@dataclass(frozen=True)
class SearchQuality:
    """`ef_search` is how many candidates a search of the index keeps; `recall`@10 is beside an exact scan."""

    ef_search: int
    recall: float


@dataclass(frozen=True)
class VersionTables:
    """The names of a version's schema and tables, quoted for SQL."""

    schema: sql.Identifier
    items: sql.Identifier
    """(id, embedding, in_stock, attributes): JSON of `contracts.attributes` (null: none), a column that versions loaded
    by earlier releases lack"""
    similar_items: sql.Identifier
    """(id, nearest): JSON of the nearest items in stock, [[id, distance], …], nearest first; a text of JSON is read
    twice as fast as arrays are"""
    popular_items: sql.Identifier
    """(rank, id, popularity): the most popular items first, sold out ones among them"""
    item_sources: sql.Identifier
    """(id, digest, embedded): what the last refresh of the catalogue read of an item in the shop's database, and
    whether a refresh added it; the first refresh of a version makes the table"""
    users: sql.Identifier
    """(id, embedding)"""
    recent_items: sql.Identifier
    """(user_id, item_ids, excluded): what a user rated lately (no time: liked), the latest first; and all that is not
    recommended to the user again, as the keys of a JSON object (null: nothing)"""


def schema_name(version: str) -> str:
    return "model_" + re.sub(r"\W", "_", version.lower())


def tables(version: str) -> VersionTables:
    schema = schema_name(version)
    names = ("items", "similar_items", "popular_items", "item_sources", "users", "recent_items")
    return VersionTables(sql.Identifier(schema), *(sql.Identifier(schema, name) for name in names))


def active(connection: Connection, known: str | None = None) -> tuple[str, str | None]:
    """Returns the active version, and its manifest's text unless it is the `known` one. Raises
    `NoActiveVersionError`."""
    try:
        row = connection.execute(_ACTIVE, (known,)).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise NoActiveVersionError
    return row[0], row[1]


def has_exclusions(connection: Connection, version: str) -> bool:
    """Returns True if a version's `recent_items` has the column `excluded`, which versions loaded by earlier releases
    lack."""
    return has_column(connection, f"{schema_name(version)}.recent_items", "excluded")


def has_attributes(connection: Connection, version: str) -> bool:
    """Returns True if a version's `items` has the column `attributes`."""
    return has_column(connection, f"{schema_name(version)}.items", "attributes")


def ef_search(connection: Connection, version: str) -> int | None:
    """Returns the candidates that a version's searches keep; None if they were not measured."""
    if not has_column(connection, "recommender.model_version", "ef_search"):
        return None
    row = connection.execute(
        "SELECT ef_search FROM recommender.model_version WHERE version = %s", (version,)
    ).fetchone()
    return None if row is None else row[0]


def loaded(connection: Connection) -> list[str]:
    """Returns the versions that are loaded completely, the first published first."""
    rows = connection.execute("SELECT version FROM recommender.model_version ORDER BY published_at, loaded_at")
    return [version for (version,) in rows.fetchall()]


def manifest(connection: Connection, version: str) -> str:
    """Returns a loaded version's manifest. Raises `UnknownVersionError`."""
    row = connection.execute("SELECT manifest FROM recommender.model_version WHERE version = %s", (version,)).fetchone()
    if row is None:
        raise _unknown(connection, version)
    return str(row[0])


def served_next(connection: Connection) -> list[tuple[str, str]]:
    """Returns (version, manifest) of the active version, and of those published after it; nothing before the first
    load."""
    try:
        return connection.execute(_SERVED_NEXT).fetchall()
    except psycopg.errors.UndefinedTable:
        return []


def before(connection: Connection) -> list[tuple[str, str]]:
    """Returns (version, manifest) of the versions that were active before and are still loaded, the last one first."""
    return connection.execute(_BEFORE).fetchall()


def register(
    connection: Connection, version: str, manifest: str, published_at: datetime, search: SearchQuality | None = None
) -> bool:
    """Adds a version that is loaded completely; returns whether none that is there was published after it.

    Two of the same second count in the order in which they are loaded: S3 tells no more than seconds.
    """
    row = connection.execute("SELECT max(published_at) FROM recommender.model_version").fetchone()
    connection.execute(
        "INSERT INTO recommender.model_version (version, manifest, published_at, ef_search, index_recall)"
        " VALUES (%s, %s, %s, %s, %s)",
        (version, manifest, published_at, *((search.ef_search, search.recall) if search else (None, None))),
    )
    return row is None or row[0] is None or published_at >= row[0]


def switch(connection: Connection, version: str) -> None:
    """Points at a loaded version, in one transaction. Raises `UnknownVersionError`."""
    with connection.transaction():
        # Taken first, as the dropping of old versions takes it, so that the two wait for each other in one order.
        connection.execute("LOCK TABLE recommender.active_version IN ROW EXCLUSIVE MODE")
        _update(connection, version, "activated_at = clock_timestamp()")
        connection.execute(_SWITCH, (version,))


def pin(connection: Connection, version: str, pinned: bool) -> None:
    """Pins or unpins a version; a pinned one is never dropped. Raises `UnknownVersionError`."""
    with connection.transaction():
        _update(connection, version, "pinned = true" if pinned else "pinned = false")


def pinned(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT version FROM recommender.model_version WHERE pinned ORDER BY version")
    return [version for (version,) in rows.fetchall()]


def droppable(connection: Connection, newest: int, active_before: int) -> list[str]:
    """Returns the versions that nothing keeps, the first published first.

    Kept are the `newest` ones by publication, the active one, the `active_before` ones before it, and pinned ones.
    """
    rows = connection.execute(_DROPPABLE, {"newest": newest, "active": 1 + active_before})
    return [version for (version,) in rows.fetchall()]


def _update(connection: Connection, version: str, change: LiteralString) -> None:
    statement = sql.SQL("UPDATE recommender.model_version SET {} WHERE version = %s").format(sql.SQL(change))
    if not connection.execute(statement, (version,)).rowcount:
        raise _unknown(connection, version)


def _unknown(connection: Connection, version: str) -> UnknownVersionError:
    there = ", ".join(loaded(connection)) or "none"
    return UnknownVersionError(f"version {version!r}: expected a loaded version ({there})")
