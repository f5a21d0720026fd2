"""The loader is killed at work: the active version serves on, EventBridge starts it again, and no event notices."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from functions.shared.loader_lock import LOCK
from tests.emulator.aws import wait_until
from tests.faults.system import System
from tests.local.harness import publish, version_name

STAGES = {
    "waits for another loader": f"SELECT pg_advisory_lock({LOCK})",
    "registers what it loaded": "LOCK TABLE recommender.model_version IN SHARE MODE",
    "switches to it": "LOCK TABLE recommender.active_version IN SHARE MODE",
}
"""Stage → a lock that it needs and the test holds: the loader waits there until it is killed. Readers are not held
up."""

_BLOCKED = "FROM pg_stat_activity WHERE application_name = 'recommender' AND wait_event_type = 'Lock'"


@contextmanager
def held(system: System, lock: str) -> Iterator[None]:
    with system.connect() as connection, connection.transaction():
        connection.execute(lock)
        yield
        connection.execute("SELECT pg_advisory_unlock_all()")


@pytest.mark.parametrize("stage", STAGES)
def test_a_loader_killed_at_any_stage_is_started_again_and_costs_no_event(system: System, stage: str) -> None:
    served = system.load()
    version = version_name(next(system.numbers))
    with system.connect() as connection:

        def cut() -> bool:
            return bool(connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {_BLOCKED}").fetchall())

        with held(system, STAGES[stage]):
            publish(system.deployment, system.artifacts, version)
            wait_until(cut)
            sent = system.streaming.put(system.events(10))
            system.all_came_back(sent)
        assert system.streaming.versions(sent) == {served: 10}
    assert version in system.streaming.wait_for_load(version)
    after = system.streaming.put(system.events(10))
    system.all_came_back(after)
    assert system.streaming.versions(after) == {version: 10}
