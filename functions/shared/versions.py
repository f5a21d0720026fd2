"""Model versions in the vector store: a schema each, one pointer to the active one, and the tables' names."""

import re
from dataclasses import dataclass

import psycopg
from psycopg import sql

from functions.shared.database import Connection

REGISTRY = """
CREATE SCHEMA IF NOT EXISTS recommender;
CREATE TABLE IF NOT EXISTS recommender.model_version (
    version     text PRIMARY KEY,
    manifest    text NOT NULL,
    loaded_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS recommender.active_version (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version     text NOT NULL REFERENCES recommender.model_version,
    since       timestamptz NOT NULL DEFAULT now()
)
"""
"""`model_version` has a row for each version that is loaded completely; `active_version` is the pointer."""

_ACTIVE = """
SELECT a.version, CASE WHEN a.version IS DISTINCT FROM %s THEN m.manifest END
FROM recommender.active_version a JOIN recommender.model_version m USING (version)
"""

_SWITCH = """
INSERT INTO recommender.active_version (version) VALUES (%s)
ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, since = now()
"""

DIGITS = 6
"""Of scores and distances in answers: more than a 32-bit float of about 1 has, and half the bytes of all of them."""
DISTANCE_OPERATOR = {"cosine": "<=>", "inner_product": "<#>"}
OPERATOR_CLASS = {"cosine": "vector_cosine_ops", "inner_product": "vector_ip_ops"}
# A score is better the larger it is: cosine similarity, and the inner product (pgvector gives its negative).
SCORE_OFFSET = {"cosine": 1.0, "inner_product": 0.0}


class NoActiveVersionError(RuntimeError):
    """No model version was loaded yet."""

    def __init__(self) -> None:
        super().__init__("vector store: no model version is active: publish one, its manifest starts the load")


class UnknownVersionError(ValueError):
    """A version that is not loaded."""


@dataclass(frozen=True)
class VersionTables:
    """The names of a version's schema and tables, quoted for SQL."""

    schema: sql.Identifier
    items: sql.Identifier
    """(id, embedding, in_stock)"""
    similar_items: sql.Identifier
    """(id, nearest): JSON of the nearest items in stock, [[id, distance], …], nearest first; a text of JSON is read
    twice as fast as arrays are"""
    popular_items: sql.Identifier
    """(rank, id, popularity): items in stock, the most popular first"""
    users: sql.Identifier
    """(id, embedding)"""
    recent_items: sql.Identifier
    """(user_id, item_ids): what a user rated lately (no time: liked), the latest first"""


def schema_name(version: str) -> str:
    return "model_" + re.sub(r"\W", "_", version.lower())


def tables(version: str) -> VersionTables:
    schema = schema_name(version)
    names = ("items", "similar_items", "popular_items", "users", "recent_items")
    return VersionTables(sql.Identifier(schema), *(sql.Identifier(schema, name) for name in names))


def active(connection: Connection, known: str | None = None) -> tuple[str, str | None]:
    """The active version, and its manifest's text if it is not the `known` one. Raises `NoActiveVersionError`."""
    try:
        row = connection.execute(_ACTIVE, (known,)).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise NoActiveVersionError
    return row[0], row[1]


def loaded(connection: Connection) -> list[str]:
    """The versions that are loaded completely, the oldest first."""
    rows = connection.execute("SELECT version FROM recommender.model_version ORDER BY version").fetchall()
    return [version for (version,) in rows]


def switch(connection: Connection, version: str) -> None:
    """Points at a loaded version, in one transaction. Raises `UnknownVersionError`."""
    with connection.transaction():
        row = connection.execute(
            "SELECT 1 FROM recommender.model_version WHERE version = %s FOR SHARE", (version,)
        ).fetchone()
        if row is None:
            versions = ", ".join(loaded(connection)) or "none"
            raise UnknownVersionError(f"version {version!r}: expected a loaded version ({versions})")
        connection.execute(_SWITCH, (version,))
