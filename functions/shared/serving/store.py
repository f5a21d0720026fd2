"""Queries of the vector store: each answers a whole batch with one statement."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.artifacts import has_length
from contracts.dataset import Serving
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving import connections, exclusions, lookups
from functions.shared.serving.asked import PLAIN, Asked, Attributes, Found
from functions.shared.serving.exclusions import Policy
from functions.shared.serving.lookups import Item, Known, User, array_literal
from functions.shared.serving.queries import Kind, nearest, popular
from functions.shared.serving.requests import Act
from functions.shared.serving.statements import compose
from functions.shared.vectors import Vectors, unpack

_EXCLUDED_COUNTS = """
SELECT given.customer, (SELECT count(*) FROM jsonb_object_keys({excluded}))
FROM unnest(%b::text[]) AS given (customer) {exclusions}
"""

DEFAULT_SERVING = Serving()


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
        self._properties = connections.properties(connection, version)
        connections.set_ef_search(connection, self._properties.ef_search)
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
        return compose(template, self._version, self._similarity, limit, has_exclusions, columns, self._policy)

    def _rows(
        self, template: str, parameters: Sequence[Any], limit: int = 0, asked: Asked = PLAIN
    ) -> list[tuple[Any, ...]]:
        return self._cursor.execute(self.statement(template, limit, asked), parameters).fetchall()


def _alike_together(vectors: Vectors) -> npt.NDArray[np.intp]:
    """Returns an order (n,) in which like vectors follow each other.

    Their searches walk the same part of the index, which the processor then has in its cache. The vectors are grouped
    around about √n of them.
    """
    if len(vectors) == 1:
        return np.zeros(1, dtype=np.intp)
    middles = vectors[:: max(1, math.isqrt(len(vectors)))]
    return np.argsort((vectors @ middles.T).argmax(axis=1), kind="stable")


def _by_query(rows: Any, count: int, by_score: bool = False) -> list[list[Found]]:
    """Collects rows (number of the query from 1, id, score, attributes) in a list for each query."""
    answers: list[list[Found]] = [[] for _ in range(count)]
    for n, *found in rows:
        answers[n - 1].append(Found(*found))
    if by_score:
        for answer in answers:
            answer.sort(key=lambda found: (-found.score, found.id))
    return answers
