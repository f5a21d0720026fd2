"""The system under faults: what goes in, what comes out, and that the two add up."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from emulator.deploy.cloud import DatabaseInstance
from local.events import Event
from local.session import Deployment
from local.streaming import Streaming
from tests.local.harness import EVENT, publish, version_name

OUTAGE_SECONDS = 2.0


@dataclass
class System:
    deployment: Deployment
    streaming: Streaming
    artifacts: Path
    numbers: Iterator[int]
    """The number of the next version, or the next event."""

    def client(self, service: str) -> Any:
        return self.deployment.cloud.client(service)

    @property
    def database(self) -> DatabaseInstance:
        """The vector store."""
        database = self.deployment.database("postgres")
        assert database is not None
        return database

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connects as the master user. Raises `psycopg.OperationalError`."""
        database = self.database
        return psycopg.connect(
            host=database.server.host,
            port=database.server.port,
            dbname=database.database,
            user=database.username,
            password=database.password,
            autocommit=True,
            application_name="faults",
        )

    def put_during_an_outage(self, n: int = 10) -> dict[str, Event]:
        """Puts events, and asserts that not one comes back for a while: what is broken was needed."""
        sent = self.streaming.put(self.events(n))
        time.sleep(OUTAGE_SECONDS)
        assert not self.streaming.versions(sent), "what is broken was not needed"
        return sent

    def events(self, n: int) -> list[Event]:
        """So many visits that can be recommended for, each of a session of its own."""
        return [{**EVENT, "session_id": f"session-{next(self.numbers)}"} for _ in range(n)]

    def load(self) -> str:
        """Publishes a version, and waits until it is served."""
        version = version_name(next(self.numbers))
        publish(self.deployment, self.artifacts, version)
        self.streaming.wait_for_load(version)
        return version

    def all_came_back(self, sent: dict[str, Event]) -> None:
        """Asserts that every event has its own record, with recommendations, and that none failed."""
        failed = len(self.streaming.failures())
        assert self.streaming.wait_for(sent, timeout=60) == [], self.streaming.reasons()
        records = {str(record["event_id"]): record for record in self.streaming.records()}
        for event_id, event in sent.items():
            assert records[event_id]["session_id"] == event["session_id"]
            assert records[event_id]["recommended_items"]
        assert len(self.streaming.failures()) == failed
