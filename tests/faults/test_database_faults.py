"""The vector store gives way, in ways other than being stopped: events wait for it, none is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg import sql

from functions.model_inference.handler import MARGIN_SECONDS
from functions.shared.versions import schema_name
from tests.faults.conftest import INFERENCE_SECONDS
from tests.faults.system import System

MORE_THAN_THE_SERVER_TAKES = 200
_FUNCTIONS = "FROM pg_stat_activity WHERE application_name = 'recommender'"


@contextmanager
def every_connection_taken(system: System) -> Iterator[None]:
    """Cuts the functions' connections, and opens as many as the server takes."""
    with ExitStack() as taken:
        taken.enter_context(system.connect()).execute(f"SELECT pg_terminate_backend(pid, 5000) {_FUNCTIONS}")
        for _ in range(MORE_THAN_THE_SERVER_TAKES):
            try:
                taken.enter_context(system.connect())
            except psycopg.OperationalError as refused:
                assert "connection slots" in str(refused) or "too many clients" in str(refused)  # noqa: PT017
                break
        else:
            pytest.fail("the server has no limit")
        yield


def test_a_database_at_its_connection_limit_costs_no_event(system: System) -> None:
    with every_connection_taken(system):
        sent = system.put_during_an_outage()
    system.all_came_back(sent)


@contextmanager
def hanging_connections(system: System) -> Iterator[set[int]]:
    """The functions' connections answer nothing and do not end either, as on a failed host; new ones work."""
    with system.connect() as connection:
        pids = {pid for (pid,) in connection.execute(f"SELECT pid {_FUNCTIONS}")}
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


def test_an_inference_function_that_times_out_costs_no_event(system: System) -> None:
    system.all_came_back(system.streaming.put(system.events(1)))
    with hanging_connections(system) as hanging:
        assert hanging
        began = time.monotonic()
        sent = system.put_during_an_outage()
        system.all_came_back(sent)
        # It breaks the connection off just before its timeout, and the next call opens another.
        assert time.monotonic() - began > INFERENCE_SECONDS - MARGIN_SECONDS


def test_an_inference_function_that_fails_costs_no_event(system: System) -> None:
    with hidden_schema(system, "recommender"):
        sent = system.streaming.put(system.events(10))
        time.sleep(2 * INFERENCE_SECONDS)
        assert not system.streaming.versions(sent)
    name, _ = system.deployment.function("model_inference")
    assert "NoActiveVersionError" in system.deployment.cloud.aws.function_logs(name, 200)
    system.all_came_back(sent)


def test_an_active_version_that_cannot_be_served_is_answered_for_by_the_last_one(system: System) -> None:
    good, bad = system.load(), system.load()
    with hidden_schema(system, schema_name(bad)):
        sent = system.streaming.put(system.events(10))
        system.all_came_back(sent)
    assert system.streaming.versions(sent) == {good: 10}


@contextmanager
def hidden_schema(system: System, name: str) -> Iterator[None]:
    schema, hidden = sql.Identifier(name), sql.Identifier("hidden")
    with system.connect() as connection:
        connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(schema, hidden))
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(hidden, schema))
