"""The SQL of a refresh, over the tables of one version. A portion of rows is one statement each."""

from typing import LiteralString

from functions.shared import precomputed

# Parameters are sent in binary (%b): psycopg writes the text form of an array with a regular expression an element.

PREPARE: LiteralString = """
CREATE TABLE IF NOT EXISTS {item_sources} (id text PRIMARY KEY, digest bigint, embedded boolean NOT NULL)
"""
ADD_ATTRIBUTES: LiteralString = "ALTER TABLE {items} ADD COLUMN IF NOT EXISTS attributes jsonb"
"""A version that an earlier release loaded."""

# Looked up by key, a portion at a time: neither side is ever read whole.
DIFFERENCES: LiteralString = """
SELECT s.n, i.id IS NOT NULL, coalesce(c.embedded, false)
FROM unnest(%b::text[], %b::bigint[]) WITH ORDINALITY AS s (id, digest, n)
LEFT JOIN {item_sources} c ON c.id = s.id
LEFT JOIN {items} i ON i.id = s.id
WHERE c.digest IS DISTINCT FROM s.digest
ORDER BY s.n
"""

UPDATE: LiteralString = """
UPDATE {items} i SET in_stock = s.in_stock, attributes = s.attributes::jsonb
FROM unnest(%b::text[], %b::boolean[], %b::text[]) AS s (id, in_stock, attributes)
WHERE i.id = s.id AND (i.in_stock, i.attributes) IS DISTINCT FROM (s.in_stock, s.attributes::jsonb)
"""

EMBED: LiteralString = """
INSERT INTO {items} (id, in_stock, attributes, embedding)
SELECT s.id, s.in_stock, s.attributes::jsonb, s.embedding
FROM unnest(%b::text[], %b::boolean[], %b::text[], %b) AS s (id, in_stock, attributes, embedding)
ON CONFLICT (id) DO UPDATE
SET embedding = excluded.embedding, in_stock = excluded.in_stock, attributes = excluded.attributes
"""

SIMILAR: LiteralString = (
    "INSERT INTO {similar_items} (id, nearest)"
    + precomputed.NEAREST
    + "WHERE q.id = ANY (%b::text[]) ON CONFLICT (id) DO UPDATE SET nearest = excluded.nearest"
)

# Nobody has bought a new item yet: it comes last, where the list of popular items has room for it.
LAST_IN_POPULAR: LiteralString = """
INSERT INTO {popular_items} (rank, id, popularity)
SELECT last.rank + s.n, s.id, 0
FROM (SELECT coalesce(max(rank), 0) AS rank, count(*) AS n FROM {popular_items}) last,
    unnest(%b::text[]) WITH ORDINALITY AS s (id, n)
WHERE last.n + s.n <= {popular} AND NOT EXISTS (SELECT FROM {popular_items} p WHERE p.id = s.id)
"""

REMEMBER: LiteralString = """
INSERT INTO {item_sources} (id, digest, embedded) SELECT * FROM unnest(%b::text[], %b::bigint[], %b::boolean[])
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, embedded = excluded.embedded
"""

IN_STOCK: LiteralString = "SELECT id FROM {items} WHERE in_stock"
VANISH: LiteralString = "UPDATE {items} SET in_stock = false WHERE id = ANY (%b::text[])"
# Without its digest, an item that comes back differs from what is remembered.
FORGET: LiteralString = "UPDATE {item_sources} SET digest = NULL WHERE id = ANY (%b::text[])"
