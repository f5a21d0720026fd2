"""Publishes a second model version while events flow, waits until it is served, and rolls it back."""

import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emulator.errors import LocalRunError
from local import training_stage
from local.events import Event
from local.session import Deployment
from local.streaming import Streaming
from local.ui import Stages

MIN_EVENTS = 60
"""The least number of events for a switch: with fewer there is too little to see."""
AFTER_ROLLBACK = 10
"""The last events, which are sent when the first version is back."""
EPOCHS = 5
"""The epochs of the second version. They are few: it has to be another model, not a better one."""
FLOW_SECONDS = 0.2
FLOW_PARTS = 100
"""While the second version is made, one of this many parts of the events is put every `FLOW_SECONDS`."""


class Switchover:
    """One switch and its rollback. `missing` are the events that did not come back, `rollback_ms` the time it took."""

    def __init__(self, deployment: Deployment, streaming: Streaming, stages: Stages, first: str) -> None:
        self.missing: list[Event] = []
        self.rollback_ms = 0.0
        self._deployment = deployment
        self._streaming = streaming
        self._stages = stages
        self._first = first

    def run(self, events: Sequence[Event], folder: Path, seed: int) -> None:
        """Sends all events around the switch. Raises `LocalRunError` if a record was made by another version than
        expected."""
        before, flowing, after = _parts(events)
        self._send(before, self._first)
        second = self._second_version(flowing, folder, seed)
        self._send([*flowing, *after[:-AFTER_ROLLBACK]], second)
        with self._stages.stage("rollback") as stage:
            self.rollback_ms = self._streaming.activate(self._first)
            stage.result = f"version {self._first} is active again after {self.rollback_ms:.0f} ms"
        self._send(after[-AFTER_ROLLBACK:], self._first)

    def _second_version(self, flowing: deque[Event], folder: Path, seed: int) -> str:
        """Trains, publishes and waits for the load while events flow. Removes the events that were sent from
        `flowing`."""
        sent: dict[str, Event] = {}
        with self._stages.stage("second version") as stage:
            with flow(self._streaming, flowing, sent):
                trained = training_stage.train_and_publish(self._deployment, folder, seed, stage.say, epochs=EPOCHS)
                loaded = self._streaming.wait_for_load(trained.version)
            missing = self._streaming.wait_for(sent)
            self.missing += missing
            came = f"{len(sent) - len(missing)} of {len(sent)} events came back meanwhile"
            stage.result, stage.remark = f"{loaded}; {came}", trained.remark()
        return trained.version

    def _send(self, events: Sequence[Event], version: str) -> None:
        with self._stages.stage("events") as stage:
            sent = self._streaming.put(events)
            missing = self._streaming.wait_for(sent, lambda back: stage.say(f"{back} of {len(sent)} came back"))
            self.missing += missing
            self._check(sent, version)
            stage.result = f"{len(sent) - len(missing)} of {len(sent)} came back, by version {version}"

    def _check(self, sent: Collection[str], version: str) -> None:
        found = self._streaming.versions(sent)
        if found.keys() - {version}:
            raise LocalRunError(f"model version: expected {version} in all {len(sent)} records, found {dict(found)}")


def _parts(events: Sequence[Event]) -> tuple[Sequence[Event], deque[Event], Sequence[Event]]:
    """Splits the events: a quarter before the second version, half while it is made, and the last quarter."""
    quarter = len(events) // 4
    return events[:quarter], deque(events[quarter : 3 * quarter]), events[3 * quarter :]


@contextmanager
def flow(streaming: Streaming, waiting: deque[Event], sent: dict[str, Event]) -> Iterator[None]:
    """Puts waiting events on the stream, a few at a time, while the context lasts; moves them to `sent`."""
    stopping = threading.Event()
    failures: list[Exception] = []
    size = max(1, len(waiting) // FLOW_PARTS)

    def put() -> None:
        try:
            while waiting and not stopping.wait(FLOW_SECONDS):
                sent.update(streaming.put([waiting.popleft() for _ in range(min(size, len(waiting)))]))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=put, name="events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if failures:
        raise failures[0]
