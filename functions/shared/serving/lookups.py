"""The look-ups of the vector store as SQL, by key: customers, items, and all that a batch needs to know at once.

Lists of ids are given as PostgreSQL's text of an array (`array_literal`): psycopg takes twice as long to write a
list in binary, and ten times as long in its own text (measured with 5,000 ids).
"""

# ruff: noqa: S608 – composed of this module's own texts; every value is a parameter

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Near(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An item near another one. Not tracked by the garbage collector, which would look at all of a batch's."""

    id: str
    distance: float


_nearest = msgspec.json.Decoder(list[Near])


@dataclass(frozen=True, slots=True)
class User:
    vector: bytes
    recent_items: Sequence[str]
    """The latest first, `MAX_RECENT_ITEMS` at most."""

    @classmethod
    def read(cls, vector: bytes, recent_items: Sequence[str] | None) -> "User":
        return cls(vector, recent_items or ())


@dataclass(frozen=True, slots=True)
class Item:
    vector: bytes
    similar: Sequence[Near]
    """The nearest first; empty where it was not asked for."""

    @classmethod
    def read(cls, vector: bytes, nearest: str | None) -> "Item":
        return cls(vector, _nearest.decode(nearest) if nearest else ())


@dataclass
class Known:
    """The part of a batch that the store knows."""

    active: str | None = None
    """The version that is active now; `None` if nothing was asked."""
    users: dict[str, User] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    """The items that were asked for, and the recent items of the users."""


class _Row(StrEnum):
    """The kinds of rows of `KNOWN`."""

    ACTIVE = "a"
    USER = "u"
    ITEM = "i"


USERS = """
SELECT u.id, u.embedding, r.item_ids[:{recent}] AS item_ids
FROM {users} u LEFT JOIN {recent_items} r ON r.user_id = u.id
WHERE u.id = ANY (%t::text[])
"""

_ASKED_FOR = "unnest(%t::text[], %b::boolean[]) AS q (id, wants_similar)"

# LATERAL with a LIMIT is looked up by key whatever the planner thinks of it: for thousands of ids it would scan.
_LOOKED_UP = """
CROSS JOIN LATERAL (SELECT i.embedding FROM {items} i WHERE i.id = q.id LIMIT 1) item
LEFT JOIN LATERAL (
    SELECT s.nearest FROM {similar_items} s WHERE s.id = q.id AND q.wants_similar LIMIT 1
) precomputed ON true
"""

ITEMS = f"SELECT q.id, item.embedding, precomputed.nearest FROM {_ASKED_FOR} {_LOOKED_UP}"

# The lists of popular and of similar items are made when a version is loaded; what was sold out since is left out here.
IN_STOCK = """
SELECT i.id, {attributes} FROM unnest(%t::text[]) AS q (id) JOIN {items} i ON i.id = q.id WHERE i.in_stock
"""

# Each statement more is a way to the server and back more, so the active version comes with the rest.
KNOWN = f"""
WITH customer AS MATERIALIZED ({USERS}),
wanted AS (
    SELECT id, bool_or(wants_similar) AS wants_similar
    FROM (SELECT q.* FROM {_ASKED_FOR} UNION ALL SELECT unnest(item_ids), false FROM customer) given
    GROUP BY id
)
SELECT '{_Row.ACTIVE}', version, NULL::vector, NULL::text[], NULL::text FROM recommender.active_version
UNION ALL SELECT '{_Row.USER}', id, embedding, item_ids, NULL FROM customer
UNION ALL SELECT '{_Row.ITEM}', q.id, item.embedding, NULL, precomputed.nearest FROM wanted q {_LOOKED_UP}
"""


def array_literal(ids: Collection[str]) -> str:
    """Writes a list as PostgreSQL's text of an array: an array of arrays could not hold lists of different lengths."""
    quoted = (id_.replace("\\", "\\\\").replace('"', '\\"') for id_ in ids)
    return "{" + ",".join(f'"{id_}"' for id_ in quoted) + "}"


def users_of(rows: Iterable[Sequence[Any]]) -> Mapping[str, User]:
    """Reads the rows of `USERS`."""
    return {id_: User.read(vector, recent) for id_, vector, recent in rows}


def items_of(rows: Iterable[Sequence[Any]]) -> Mapping[str, Item]:
    """Reads the rows of `ITEMS`."""
    return {id_: Item.read(vector, nearest) for id_, vector, nearest in rows}


def known_of(rows: Iterable[Sequence[Any]]) -> Known:
    """Reads the rows of `KNOWN`."""
    known = Known()
    for kind, id_, vector, recent, nearest in rows:
        if kind == _Row.ITEM:
            known.items[id_] = Item.read(vector, nearest)
        elif kind == _Row.USER:
            known.users[id_] = User.read(vector, recent)
        else:
            known.active = id_
    return known
