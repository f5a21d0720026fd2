"""The lock of who writes a version's tables: loaders and refreshes of the catalogue work one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

from functions.shared.database import Connection

LOCK = 0x5EC0
"""The number of PostgreSQL's advisory lock."""


@contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """Waits for whoever has the lock, for as long as the connection's `lock_timeout`."""
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        yield
    finally:
        _unlock(connection)


@contextmanager
def unless_taken(connection: Connection) -> Iterator[bool]:
    """Yields True with the lock, or at once False where somebody has it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
    is_mine = bool(row and row[0])
    try:
        yield is_mine
    finally:
        if is_mine:
            _unlock(connection)


def _unlock(connection: Connection) -> None:
    if not connection.closed:
        connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
