"""The recommendation API while its database is away: it answers from memory, or refuses, and waits for nothing."""

import os
import signal
import time

import pytest

from functions.recommendation_api import handler as module
from tests.functions.conftest import Store
from tests.functions.http import get
from tests.functions.worlds import world


@pytest.fixture(autouse=True)
def _shop(store: Store) -> None:
    store.serve(world("20261101T000000Z-000001"))


def test_while_the_database_is_away_popular_items_come_from_memory(store: Store) -> None:
    remembered = get("/v1/popular", ("exclude", "I59"), ("limit", 3)).ids
    with store.away():
        began = time.monotonic()
        for _ in range(20):
            away = get("/v1/recommendations", ("customer", "100"), ("items", "I59"), ("limit", 3))
            assert (away.status, away.json["strategy"], away.ids) == (200, "popular", remembered)
        assert get("/v1/popular", ("exclude", "I59"), ("limit", 3)).ids == remembered
        similar, health = get("/v1/items/I5/similar"), get("/v1/health")
        assert time.monotonic() - began < 3 * module.DATABASE_SECONDS, "each request waited for a database that is away"
    for refused in (similar, health):
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
    module._memory.away_until = 0
    assert get("/v1/items/I5/similar").status == 200


def test_an_environment_that_never_saw_the_database_answers_503(store: Store) -> None:
    with store.away():
        refused = get("/v1/recommendations")
    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "retry-after" in refused.headers


def test_a_database_that_hangs_holds_no_request(store: Store) -> None:
    """A stopped server process answers nothing and keeps to no timeout of its own."""
    get("/v1/popular")
    rows = store.connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = 'store' AND pid <> pg_backend_pid()"
    ).fetchall()
    assert rows
    for (pid,) in rows:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answered = get("/v1/popular")
        assert time.monotonic() - began < module.DATABASE_SECONDS + module.CONNECT_SECONDS + 2
    finally:
        for (pid,) in rows:
            os.kill(pid, signal.SIGCONT)
    assert answered.status == 200
