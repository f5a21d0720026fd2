"""Queries of the vector store: each answers a whole batch with one statement."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_loads

from contracts.artifacts import MAX_RECENT_ITEMS, has_length
from contracts.dataset import Serving
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving import exclusions, lookups
from functions.shared.serving.exclusions import Policy
from functions.shared.serving.lookups import Item, Known, User
from functions.shared.serving.queries import Kind, nearest, popular
from functions.shared.serving.requests import Act
from functions.shared.vectors import Vectors, register, unpack

EF_SEARCH = 30
"""Candidates that a search of the index keeps at least, and for a version of which nobody has measured how many it
takes (functions/embedding_loader/search_quality.py)."""
MAX_SCAN_TUPLES = 1_000_000
SCAN_MEMORY = 4
"""The limits of a search: it passes the nearest 10,000 items if all of them are excluded (pgvector's README: Iterative
Index Scans; its defaults of 20,000 tuples and 1 work_mem end before that)."""

_EXCLUDED_COUNTS = """
SELECT given.customer, (SELECT count(*) FROM jsonb_object_keys({excluded}))
FROM unnest(%b::text[]) AS given (customer) {exclusions}
"""

DEFAULT_SERVING = Serving()

_NO_ATTRIBUTES, _NO_VECTOR = sql.SQL("NULL::jsonb"), sql.SQL("NULL::vector")
"""They take the columns' places where they are not asked for, or the version has no attributes."""

Attributes = Mapping[str, Any]


class Found(NamedTuple):
    """An item of an answer."""

    id: str
    score: float
    """Better the larger."""
    attributes: Attributes | None = None
    """`None` where they were not asked for, or the item has none."""
    vector: bytes | None = None
    """`None` where it was not asked for."""


@dataclass(frozen=True)
class Asked:
    """The columns and conditions of a search beside its queries: the same for all of them, but for `refused`."""

    attributes: bool = False
    """True: with the items' attributes."""
    vectors: bool = False
    hidden: Collection[str] = ()
    """The items that no list may hold."""
    pinned: Sequence[str] = ()
    """The items that come beside the best ones, where they may be in the list."""
    wanted: str | None = None
    """A jsonpath predicate of the attributes that is true of each item."""
    refused: Sequence[str | None] = ()
    """A jsonpath predicate for each query, which is true of no item."""

    def of(self, refused: Sequence[str | None]) -> "Asked":
        return replace(self, refused=refused)

    @property
    def kind(self) -> Kind:
        if self.wanted is not None:
            return Kind.FILTERED
        return Kind.RULED if self.hidden or self.pinned or any(self.refused) else Kind.PLAIN

    def parameters(self, count: int) -> tuple[list[Any], list[Any]]:
        """The parameters of the queries, and those behind them."""
        if self.kind is Kind.PLAIN:
            return [], []
        refused = list(self.refused) or [None] * count
        rule = [Jsonb(dict.fromkeys(self.hidden)), list(self.pinned)]
        return [refused], [*rule, self.wanted] if self.kind is Kind.FILTERED else rule


PLAIN = Asked()


def prepare(connection: Connection) -> None:
    """Readies a new connection. Raises `NoActiveVersionError` where the database has no vectors yet."""
    try:
        register(connection)
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:  # the server refused something; pgvector itself says that the type is missing
            raise
        raise versions.NoActiveVersionError from None
    set_json_loads(msgspec.json.decode, connection)
    exclusions.prepare(connection)
    connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
    _in_force.pop(connection, None)
    # With a filter, the scan goes on until there are as many results as asked for, also where thousands of the nearest
    # items are excluded. A search that ends earlier needs neither the tuples nor the memory (a multiple of work_mem).
    connection.execute("SET hnsw.iterative_scan = strict_order")
    connection.execute(f"SET hnsw.max_scan_tuples = {MAX_SCAN_TUPLES}")
    connection.execute(f"SET hnsw.scan_mem_multiplier = {SCAN_MEMORY}")
    # A plan for each execution would take as long as a single request's search. The statements are written so that one
    # plan is good for all (PostgreSQL: PREPARE, Notes; tests/functions/test_retrieval.py looks at both kinds).
    connection.execute("SET plan_cache_mode = force_generic_plan")


class Store:
    """One version's tables, for one batch.

    Statements name the version's schema, and the limit is in their text: a prepared statement is then never answered
    from another version's plan, nor planned for an unknown limit, where PostgreSQL takes a tenth of the table for it
    and scans it whole.
    """

    def __init__(
        self,
        connection: Connection,
        version: str,
        similarity: str,
        dim: int,
        serving: Serving = DEFAULT_SERVING,
        must_be_active: bool = False,
        bought_days: int = 0,
    ) -> None:
        """`bought_days` are those of the rules (`RulesInForce.bought_days`)."""
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._policy = Policy.of(serving, bought_days)
        self._version = version
        self._must_be_active = must_be_active
        self._similarity = similarity
        properties = _asked_once(connection, version)
        self._properties = properties
        if properties.ef_search != _in_force.get(connection, EF_SEARCH):
            connection.execute(f"SET hnsw.ef_search = {properties.ef_search}")
            _in_force[connection] = properties.ef_search
        self._offset = versions.SCORE_OFFSET[similarity]
        self.dim = dim

    def users(self, ids: Collection[str]) -> Mapping[str, User]:
        """Reads the users that the version knows."""
        return lookups.users_of(self._rows(lookups.USERS, [array_literal(ids)])) if ids else {}

    def items(self, wants_similar: Mapping[str, bool]) -> Mapping[str, Item]:
        """Reads the items that the version knows, with their similar items where the mapping says True."""
        given = [array_literal(wants_similar), list(wants_similar.values())]
        return lookups.items_of(self._rows(lookups.ITEMS, given)) if wants_similar else {}

    def known(self, users: Collection[str], wants_similar: Mapping[str, bool]) -> Known:
        """Reads users with their recent items, and items, with their similar items where the mapping says True.

        Raises `NotActiveError` if the version must be the active one, and is not.
        """
        given = [array_literal(users), array_literal(wants_similar), list(wants_similar.values())]
        asks = users or wants_similar or self._must_be_active
        known = lookups.known_of(self._rows(lookups.KNOWN, given)) if asks else Known()
        if self._must_be_active and known.active != self._version:
            raise versions.NotActiveError(self._version)
        return known

    def nearest(
        self,
        vectors: Vectors,
        sessions: Sequence[Collection[str]],
        limit: int,
        customers: Sequence[str | None] | None = None,
        asked: Asked = PLAIN,
    ) -> list[list[Found]]:
        """Returns for each vector (n, dim) the best items in stock, the best first.

        It leaves out the items of the vector's session, and the items that are excluded for its customer (`None`: an
        unknown visitor).
        """
        if not len(vectors):
            return []
        order = _alike_together(vectors)
        literals = [array_literal(sessions[n]) for n in order]
        asking = [customers[n] if customers else None for n in order]
        asked = asked.of([asked.refused[n] for n in order]) if asked.refused else asked
        own, rule = asked.parameters(len(vectors))
        rows = self._rows(nearest(asked.kind), [list(vectors[order]), literals, asking, *own, *rule], limit, asked)
        places = (order + 1).tolist()
        scored = ((places[n - 1], id_, self.score(distance), *rest) for n, id_, distance, *rest in rows)
        return _by_query(scored, len(vectors), by_score=True)

    def in_stock(self, ids: Collection[str], with_attributes: bool = False) -> Mapping[str, Attributes | None]:
        """Returns those of the version's items that are in stock now, with their attributes."""
        asked = Asked(attributes=with_attributes)
        return dict(self._rows(lookups.IN_STOCK, [array_literal(ids)], asked=asked)) if ids else {}

    def score(self, distance: float) -> float:
        """Returns the score of an item at a distance: the larger, the better."""
        return self._offset - distance

    def excluded_counts(self, customers: Sequence[str]) -> Mapping[str, int]:
        """Returns the number of items that are excluded for each customer."""
        return dict(self._rows(_EXCLUDED_COUNTS, [list(customers)]))

    def popular(
        self,
        sessions: Sequence[Collection[str]],
        limit: int,
        customers: Sequence[str | None],
        asked: Asked = PLAIN,
    ) -> list[list[Found]]:
        """Returns for each session the most popular items in stock, with their popularity as the score; else like
        `nearest`."""
        own, rule = asked.parameters(len(sessions))
        given = [[*map(array_literal, sessions)], list(customers), *own, *rule]
        rows = self._rows(popular(asked.kind), given, limit, asked) if sessions else []
        return _by_query(rows, len(sessions))

    def note(self, acts: Iterable[Act]) -> None:
        """Notes what customers bought or rated, so that it is left out from the next search on."""
        exclusions.note(self._connection, acts, self._policy)

    def can_search(self, vector: Vectors) -> bool:
        """Returns True if a vector (dim,) has a length with which distances can be computed."""
        length = float(np.linalg.norm(vector.astype(np.float64)))
        return has_length(length, self._similarity)

    def unpack(self, packed: Sequence[bytes]) -> Vectors:
        return unpack(packed, self.dim)

    def statement(self, template: str, limit: int = 0, asked: Asked = PLAIN) -> bytes:
        """Returns a statement over this version's tables."""
        # A filter and a rule read the attributes too.
        with_attributes = (asked.attributes or asked.kind is not Kind.PLAIN) and self._properties.has_attributes
        columns = (with_attributes, asked.vectors)
        has_exclusions = self._properties.has_exclusions
        return _statement(template, self._version, self._similarity, limit, has_exclusions, columns, self._policy)

    def _rows(
        self, template: str, parameters: Sequence[Any], limit: int = 0, asked: Asked = PLAIN
    ) -> list[tuple[Any, ...]]:
        return self._cursor.execute(self.statement(template, limit, asked), parameters).fetchall()


@lru_cache(maxsize=64)
def _statement(
    template: str,
    version: str,
    similarity: str,
    limit: int,
    has_exclusions: bool,
    columns: tuple[bool, bool],
    policy: Policy,
) -> bytes:
    """Composes a statement. It is cached, because this costs as much as a small batch's search."""
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


@dataclass(frozen=True)
class _Properties:
    """The properties of a version that decide how it is searched, from its own rows."""

    has_exclusions: bool
    has_attributes: bool
    ef_search: int


_asked: WeakKeyDictionary[Connection, dict[str, _Properties]] = WeakKeyDictionary()
_in_force: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
"""Connection → its `hnsw.ef_search`, if it is not the one that `prepare` sets."""


def _asked_once(connection: Connection, version: str) -> _Properties:
    """Asks the database once for each connection and version."""
    answers = _asked.setdefault(connection, {})
    if version not in answers:
        answers[version] = _Properties(
            versions.has_exclusions(connection, version),
            versions.has_attributes(connection, version),
            versions.ef_search(connection, version) or EF_SEARCH,
        )
    return answers[version]


def _alike_together(vectors: Vectors) -> npt.NDArray[np.intp]:
    """Returns an order (n,) in which like vectors follow each other.

    Their searches walk the same part of the index, which the processor then has in its cache. The vectors are grouped
    around about √n of them.
    """
    if len(vectors) == 1:
        return np.zeros(1, dtype=np.intp)
    middles = vectors[:: max(1, math.isqrt(len(vectors)))]
    return np.argsort((vectors @ middles.T).argmax(axis=1), kind="stable")


def array_literal(ids: Collection[str]) -> str:
    """Writes a list as PostgreSQL's text of an array: an array of arrays could not hold lists of different lengths."""
    quoted = (id_.replace("\\", "\\\\").replace('"', '\\"') for id_ in ids)
    return "{" + ",".join(f'"{id_}"' for id_ in quoted) + "}"


def _by_query(rows: Any, count: int, by_score: bool = False) -> list[list[Found]]:
    """Collects rows (number of the query from 1, id, score, attributes) in a list for each query."""
    answers: list[list[Found]] = [[] for _ in range(count)]
    for n, *found in rows:
        answers[n - 1].append(Found(*found))
    if by_score:
        for answer in answers:
            answer.sort(key=lambda found: (-found.score, found.id))
    return answers
