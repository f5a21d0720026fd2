"""The tables that list the loaded versions and point at the active one."""

from functions.shared.database import Connection

REGISTRY = """
CREATE SCHEMA IF NOT EXISTS recommender;
CREATE TABLE IF NOT EXISTS recommender.model_version (
    version     text PRIMARY KEY,
    manifest    text NOT NULL,
    loaded_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    pinned      boolean NOT NULL DEFAULT false,
    ef_search   integer,
    index_recall real
);
CREATE TABLE IF NOT EXISTS recommender.active_version (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version     text NOT NULL REFERENCES recommender.model_version,
    since       timestamptz NOT NULL DEFAULT now()
)
"""
"""`model_version` has a row for each version that is loaded completely; `active_version` is the pointer.

`published_at` is the time at which the manifest came to the bucket, `activated_at` the time of the last switch to the
version (or null). `ef_search` is how far its searches go, `index_recall` the recall that they reach (null: an earlier
release loaded it).
"""


_UPGRADE = """
ALTER TABLE recommender.model_version
    ADD COLUMN published_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN pinned boolean NOT NULL DEFAULT false;
UPDATE recommender.model_version SET published_at = date_trunc('second', loaded_at);
UPDATE recommender.model_version m SET activated_at = a.since
FROM recommender.active_version a WHERE a.version = m.version
"""
"""A registry that was made before these columns were."""


_UPGRADE_SEARCH = "ALTER TABLE recommender.model_version ADD COLUMN ef_search integer, ADD COLUMN index_recall real"


def prepare(connection: Connection) -> None:
    """Makes the registry if it is missing, and adds the columns that an earlier release's registry lacks."""
    connection.execute(REGISTRY)
    for column, upgrade in (("pinned", _UPGRADE), ("ef_search", _UPGRADE_SEARCH)):
        if not has_column(connection, "recommender.model_version", column):
            connection.execute(upgrade)


def has_column(connection: Connection, table: str, column: str) -> bool:
    row = connection.execute(
        "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s", (table, column)
    ).fetchone()
    return row is not None
