"""The searches of the vector store as SQL: plain, with rules, and with rules and a filter.

A plain search is what most requests are, and no rule costs it anything. Parameters, in their order: of the queries
(nearest: vectors,) sessions, customers; with rules also `refused` of each query, hidden ids, pinned ids; with a filter
also the filter. They are sent in binary (%b): psycopg writes the text form of an array with a regular expression an
element.
"""

# ruff: noqa: S608 – composed of this module's own texts; every value is a parameter

from enum import StrEnum
from functools import cache

FEW = 2_000
"""A filter that so many items match is answered by looking at all of them; one that more match, by the index of
vectors, whose search goes on until enough of what it passes matches (pgvector's README, "Filtering" and "Iterative
Index Scans": an approximate index is slow where little matches, an exact scan where much does; docs/rules.md has what
was measured)."""


class Kind(StrEnum):
    """The kinds of a search."""

    PLAIN = "plain"
    RULED = "ruled"
    FILTERED = "filtered"


# What is excluded for a customer stays in the database: the keys of a JSON object, which an item is found among by a
# binary search (PostgreSQL: src/backend/utils/adt/jsonb_util.c, `getKeyJsonValueFromContainer`). MATERIALIZED, and
# `||`: the session's ids are read from their text, and the object is fetched from where long values lie and made of
# what the training knew and what events have noted since, once a query, not once for each item looked at.
_QUERY = """
WITH query AS MATERIALIZED (
    SELECT {vector_column}session::text[] AS session, {{excluded}} AS excluded, {refused_column}n
    FROM unnest({vector_given}%b::text[], %b::text[]{refused_given}) WITH ORDINALITY
        AS given ({vector_name}session, customer, {refused_name}n) {{exclusions}}
)"""
_RULE = """, rule AS MATERIALIZED (SELECT %b::jsonb AS hidden, %b::text[] AS pinned{wanted})"""
# The planner does not know the value, and takes the GIN index for it: that finds nothing at once where nothing matches,
# and ends with the limit where much does.
_MATCHING = """, matching AS MATERIALIZED (
    SELECT found.* FROM rule CROSS JOIN LATERAL (
        SELECT i.id, i.embedding, {{attributes}} AS attributes FROM {{items}} i
        WHERE i.in_stock AND {{attributes}} @@ rule.wanted LIMIT {few} + 1
    ) found
), counted AS MATERIALIZED (SELECT count(*) <= {few} AS are_few FROM matching)"""

_ELIGIBLE = "i.id <> ALL (query.session) AND NOT {is_excluded}"
_RULED = " AND NOT rule.hidden ? i.id AND ({attributes} @@ query.refused) IS NOT TRUE"
_WANTED = " AND {attributes} @@ rule.wanted"
_ARE_FEW, _ARE_MANY = "(SELECT are_few FROM counted)", "NOT (SELECT are_few FROM counted)"
_PINNED = "unnest(rule.pinned) AS pin (id) CROSS JOIN LATERAL (SELECT * FROM {items} p WHERE p.id = pin.id LIMIT 1) i"

_NEAREST_COLUMNS = "i.id, i.embedding {operator} query.vector AS distance, {attributes} AS attributes, {embedding} AS v"
_POPULAR_COLUMNS = "i.id, p.popularity, p.rank, {attributes} AS attributes, {embedding} AS v"
_POPULAR_ITEMS = """{popular_items} p CROSS JOIN LATERAL (
        SELECT i.id, i.in_stock, {attributes} AS attributes, {embedding} AS embedding
        FROM {items} i WHERE i.id = p.id LIMIT 1
    ) i"""


@cache
def nearest(kind: Kind) -> str:
    """The nearest items of each query: (n, id, distance, attributes, embedding), in no order."""
    by_distance = "ORDER BY i.embedding {operator} query.vector LIMIT {limit}"
    eligible = _eligible(kind)
    searches = []
    if kind is Kind.FILTERED:
        searches.append(f"SELECT {_NEAREST_COLUMNS} FROM matching i WHERE {_ARE_FEW} AND {eligible} {by_distance}")
    many = f"{_ARE_MANY} AND " if kind is Kind.FILTERED else ""
    wanted = _WANTED if kind is Kind.FILTERED else ""
    searches.append(
        f"SELECT {_NEAREST_COLUMNS} FROM {{items}} i WHERE {many}i.in_stock AND {eligible}{wanted} {by_distance}"
    )
    if kind is not Kind.PLAIN:
        searches.append(f"SELECT {_NEAREST_COLUMNS} FROM {_PINNED} WHERE i.in_stock AND {eligible}{wanted}")
    return f"""{_head(kind, with_vectors=True)}
SELECT query.n, near.id, near.distance, near.attributes, near.v
FROM query{"" if kind is Kind.PLAIN else " CROSS JOIN rule"} CROSS JOIN LATERAL (
    {_union(searches)}
) near
"""


@cache
def popular(kind: Kind) -> str:
    """The most popular items for each query: (n, id, popularity, attributes, embedding), each query's in order."""
    by_rank = "ORDER BY p.rank LIMIT {limit}"
    eligible = _eligible(kind)
    many, wanted = (f"{_ARE_MANY} AND ", _WANTED) if kind is Kind.FILTERED else ("", "")
    searches = [
        f"SELECT {_POPULAR_COLUMNS} FROM {_POPULAR_ITEMS} WHERE {many}i.in_stock AND {eligible}{wanted} {by_rank}"
    ]
    unranked = _POPULAR_COLUMNS.replace("p.popularity", "0::real AS popularity").replace("p.rank", "NULL::int AS rank")
    if kind is Kind.FILTERED:
        # Also where many match: of a large catalogue, the list of popular items may hold none of them.
        columns = _POPULAR_COLUMNS.replace("p.popularity", "coalesce(p.popularity, 0) AS popularity")
        searches.append(
            f"SELECT {columns} FROM matching i LEFT JOIN {{popular_items}} p ON p.id = i.id WHERE {eligible} "
            "ORDER BY p.rank, i.id LIMIT {limit}"
        )
    if kind is not Kind.PLAIN:
        searches.append(f"SELECT {unranked} FROM {_PINNED} WHERE i.in_stock AND {eligible}{wanted}")
    return f"""{_head(kind, with_vectors=False)}
SELECT query.n, best.id, best.popularity, best.attributes, best.v
FROM query{"" if kind is Kind.PLAIN else " CROSS JOIN rule"} CROSS JOIN LATERAL (
    {_union(searches)}
) best
ORDER BY query.n, best.rank, best.id
"""


def _head(kind: Kind, *, with_vectors: bool) -> str:
    ruled = kind is not Kind.PLAIN
    head = _QUERY.format(
        vector_column="vector, " if with_vectors else "",
        vector_given="%b, " if with_vectors else "",
        vector_name="vector, " if with_vectors else "",
        refused_column="refused::jsonpath AS refused, " if ruled else "",
        refused_given=", %b::text[]" if ruled else "",
        refused_name="refused, " if ruled else "",
    )
    if ruled:
        head += _RULE.format(wanted=", %b::jsonpath AS wanted" if kind is Kind.FILTERED else "")
    return head + (_MATCHING.format(few=FEW) if kind is Kind.FILTERED else "")


def _eligible(kind: Kind) -> str:
    return _ELIGIBLE + ("" if kind is Kind.PLAIN else _RULED)


def _union(searches: list[str]) -> str:
    return searches[0] if len(searches) == 1 else "\n    UNION ALL\n    ".join(f"({search})" for search in searches)
