"""A block of database work ends at its moment, whatever other blocks wait for."""

import time

import psycopg
import pytest

from functions.shared.database import connect, ended_at
from tests.functions.conftest import Store


def test_a_block_ends_at_its_moment_while_another_goes_on(store: Store) -> None:
    with connect(store.database) as patient, connect(store.database) as hasty:
        # The second block's moment comes first, so whoever waits for the first one has to be told.
        with ended_at(patient, time.monotonic() + 60):
            start = time.monotonic()
            with pytest.raises(psycopg.OperationalError), ended_at(hasty, start + 0.3):
                hasty.execute("SELECT pg_sleep(30)")
            assert 0.3 <= time.monotonic() - start < 20
            assert patient.execute("SELECT 1").fetchone() == (1,)
        # What is done in time is not broken off later.
        with ended_at(patient, time.monotonic() + 0.3):
            patient.execute("SELECT 1")
        time.sleep(0.6)
        assert patient.execute("SELECT 1").fetchone() == (1,)
