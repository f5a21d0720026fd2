"""No permission of the second way in is unused either: what it gives the transformation's role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.permissions import Exercise, System, declared, refused_without, running_system

EXERCISES: dict[tuple[str, str], Exercise] = {
    ("stream-event-transformation", "WriteLogs"): lambda system: system.start_function("stream_transformation"),
    ("stream-event-transformation", "CallInference"): System.recommend,
    ("stream-event-transformation", "ReadEvents"): System.open_event_source,
    ("stream-event-transformation", "PutLines"): System.recommend,
    ("stream-event-transformation", "KeepFailed"): System.keep_a_poison_record,
    ("stream-event-transformation", "KeepGivenUp"): System.give_up_a_batch,
    ("stream-event-transformation", "FindBucket"): System.open_event_source,
}


@pytest.fixture(scope="module")
def system(artifacts: Path) -> Iterator[System]:
    with running_system(artifacts, {"stream.delivery": "event_source"}) as system:
        yield system


def test_every_statement_of_the_role_is_exercised_here(system: System) -> None:
    assert {(role, sid) for role, sid in declared(system.deployment) if role == "stream-event-transformation"} == set(
        EXERCISES
    )


@pytest.mark.parametrize(("role", "sid"), EXERCISES)
def test_without_a_statement_what_it_is_for_is_refused(system: System, role: str, sid: str) -> None:
    refused_without(system, role, sid, EXERCISES[role, sid])


def test_with_all_statements_everything_works(system: System) -> None:
    for exercise in dict.fromkeys(EXERCISES.values()):
        exercise(system)
