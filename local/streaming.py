"""The streaming part of a run: the event rules and the delivery stream run, events go in, recommendations come out."""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from contracts.events import RECOMMENDED, TYPE, EventType
from emulator.delivery import DeliveryStream
from emulator.errors import LocalRunError
from emulator.event_source import EventSource
from emulator.event_targets import EventDelivery
from local.events import Event, put_events
from local.session import Deployment
from operations.recommendations import Receiver, Record

LOAD_SECONDS = 180.0
STREAM_SECONDS = 180.0
"""The longest waits for the loader, and for events to come back."""


class Streaming:
    """A context in which event rules, delivery streams and event sources run."""

    def __init__(self, deployment: Deployment) -> None:
        cloud = deployment.cloud
        self._deployment = deployment
        self._rules = cloud.event_rules
        self.streams = [DeliveryStream(cloud.aws, inputs) for inputs in cloud.delivery_streams.values()]
        # Made after the streams, to which they deliver.
        self.event_sources = [EventSource(cloud.aws, inputs) for inputs in cloud.event_sources.values()]
        self._receiver = Receiver(cloud.client("s3"), deployment.output("recommendations_bucket"))
        self._loads = 0

    def __enter__(self) -> Self:
        self._rules.start()
        self._deployment.cloud.schedules.start()
        for loop in (*self.streams, *self.event_sources):
            loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._deployment.cloud.schedules.stop()
        for loop in (*self.event_sources, *self.streams):
            loop.stop(drain=False)
        self._rules.stop()

    def wait_for_load(self, version: str) -> str:
        """Waits until the loader is done, which the manifest's arrival starts. Raises `LocalRunError` if it failed."""
        delivery = self.next_load()
        if delivery.error:
            logs = self._deployment.cloud.aws.function_logs(delivery.target.arn)
            raise LocalRunError(f"loading {version}: {delivery.error}\nthe loader's log ends:\n{logs}")
        loaded = delivery.response
        return f"{loaded['items']:,} items and {loaded['users']:,} users; version {loaded['active']} is active"

    def next_load(self) -> EventDelivery:
        """Waits for the outcome of the next manifest that arrives, or has arrived since the last call."""
        self._loads += 1
        return self._rules.wait_idle(LOAD_SECONDS, at_least=self._loads, service="lambda")[-1]

    def send(
        self,
        events: Sequence[Event],
        progress: Callable[[int], None] = lambda _: None,
        timeout: float = STREAM_SECONDS,
    ) -> list[Event]:
        """Puts events on the stream, waits for their recommendations, and returns the events that got none."""
        self._receiver.poll()
        return self.wait_for(self.put(events), progress, timeout)

    def put(self, events: Sequence[Event]) -> dict[str, Event]:
        """Puts events on the stream. Returns each by the id that its record will have."""
        kinesis = self._deployment.cloud.client("kinesis")
        ids = put_events(kinesis, self._deployment.output("event_stream_name"), events)
        return dict(zip(ids, events, strict=True))

    def wait_for(
        self,
        sent: Mapping[str, Event],
        progress: Callable[[int], None] = lambda _: None,
        timeout: float = STREAM_SECONDS,
    ) -> list[Event]:
        """Waits for the recommendations of events that were put, and returns the events that got none."""
        missing = self._receiver.wait_for(sent.keys(), timeout, progress)
        return [event for event_id, event in sent.items() if event_id in missing]

    def versions(self, sent: Collection[str] | None = None) -> Counter[str]:
        """Counts records by model version, of these events or of all."""
        ids = {str(record["event_id"]): str(record["model_version"]) for record in self.records()}
        return Counter(version for event_id, version in ids.items() if sent is None or event_id in sent)

    def activate(self, version: str) -> float:
        """Makes the loader switch to a loaded version, as an operator would. Returns the milliseconds that it took."""
        name, _ = self._deployment.function("embedding_loader")
        request = json.dumps({"action": "activate", "version": version})
        began = time.monotonic()
        answer = self._deployment.cloud.client("lambda").invoke(FunctionName=name, Payload=request)
        took = 1000 * (time.monotonic() - began)
        told = answer["Payload"].read().decode()
        if answer.get("FunctionError") or json.loads(told)["active"] != version:
            raise LocalRunError(f"activating {version}: the loader answered {told}")
        return took

    def records(self) -> list[Record]:
        """Returns all records with recommendations, one for each event, in the order of the stream; replayed ones come
        last. Records of other types of events are left out."""
        recommendations = self._receiver.poll().recommendations
        records = [recommendations[event_id] for event_id in sorted(recommendations)]
        return [record for record in records if record.get(TYPE, EventType.BROWSE) in RECOMMENDED]

    def failures(self) -> list[Record]:
        """Returns the documents below `processing-failed/`, with `rawData` decoded to text."""
        return self._receiver.poll().failures

    def reasons(self) -> str:
        """Returns the reasons why records did not become recommendations, each once."""
        problems = [problem for loop in (*self.event_sources, *self.streams) for problem in loop.problems]
        told = list(filter(None, [self._receiver.received.reasons(), *problems[-3:]]))
        return "; ".join(told or self._logged_errors())

    def _logged_errors(self) -> list[str]:
        """Returns the last error that each function logged."""
        cloud = self._deployment.cloud
        logs = {name: cloud.aws.function_logs(name, 200).splitlines() for name in cloud.functions}
        errors = {name: [line for line in lines if "ERROR" in line or "Error" in line] for name, lines in logs.items()}
        return [f"{name}: {lines[-1]}" for name, lines in errors.items() if lines]
