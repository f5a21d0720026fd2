"""Readies a connection for searches, and asks once on it what a version's tables have."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from psycopg.types.json import set_json_loads

from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving import exclusions
from functions.shared.vectors import register

EF_SEARCH = 30
"""Candidates that a search of the index keeps at least, and for a version of which nobody has measured how many it
takes (functions/embedding_loader/search_quality.py)."""
MAX_SCAN_TUPLES = 1_000_000
SCAN_MEMORY = 4
"""The limits of a search: it passes the nearest 10,000 items if all of them are excluded (pgvector's README: Iterative
Index Scans; its defaults of 20,000 tuples and 1 work_mem end before that)."""


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


@dataclass(frozen=True)
class Properties:
    """The properties of a version that decide how it is searched, from its own rows."""

    has_exclusions: bool
    has_attributes: bool
    ef_search: int


_asked: WeakKeyDictionary[Connection, dict[str, Properties]] = WeakKeyDictionary()
_in_force: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
"""Connection → its `hnsw.ef_search`, if it is not the one that `prepare` sets."""


def properties(connection: Connection, version: str) -> Properties:
    """Returns what decides how a version is searched; the database is asked once for each connection and version."""
    answers = _asked.setdefault(connection, {})
    if version not in answers:
        answers[version] = Properties(
            versions.has_exclusions(connection, version),
            versions.has_attributes(connection, version),
            versions.ef_search(connection, version) or EF_SEARCH,
        )
    return answers[version]


def set_ef_search(connection: Connection, ef_search: int) -> None:
    """Sets the candidates that searches of this connection keep."""
    if ef_search != _in_force.get(connection, EF_SEARCH):
        connection.execute(f"SET hnsw.ef_search = {ef_search}")
        _in_force[connection] = ef_search
