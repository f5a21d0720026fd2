"""A long run of the whole system, counted exactly: `python -m benchmarks.soak [--events 100000] [--ways …]`.

In each way of delivery: events go in, one in a hundred of them odd; meanwhile a second and a third model version are
published, and the vector store is stopped and started again. Every good event must come back once, each record that can
never be recommended for must be kept once, and the memory of each function's worker and of the database must stay what
it was after the first tenth. Exit status 1 where one of this does not hold.
"""

import argparse
import base64
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.memory import memory_by_part
from benchmarks.soak_events import record_and_events
from contracts.events import FAILED_PREFIX
from emulator.program import read_stack
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from operations.recommendations import RECOMMENDATIONS_PREFIX
from tests.local.harness import make_artifacts, publish, version_name

WAYS = ("firehose_transform", "event_source")
SETTINGS: dict[str, object] = {
    "common.bundle_dependencies": False,
    "source.sample_shop": False,
    "stream.processor_buffer_seconds": 1,
    "stream.delivery_buffer_seconds": 1,
}
BATCH, MAX_WAITING = 250, 4000
"""The number of events put at once, and the most that are on their way."""
RESTART_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
"""Seconds without an answer after which the rest counts as lost."""
GROWTH_MB = 4.0
"""The most memory that a part may add after the first tenth: as much as batches differ by. Parts that keep all that
went in, in brackets, are shown without a limit."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    chosen = parser.parse_args()
    console = Console(file=sys.stdout, highlight=False)
    with tempfile.TemporaryDirectory(prefix="recommender-soak-") as folder:
        artifacts = make_artifacts(Path(folder) / "artifacts")
        results = [soak(Path(folder) / way, artifacts, way, chosen.events, console) for way in chosen.ways]
    for result in results:
        console.print(result.table())
    return 0 if all(result.holds for result in results) else 1


@dataclass
class Soak:
    """Events that went in and came back in one way of delivery; `came` and `kept` count how often each did."""

    way: str
    good: set[str] = field(default_factory=set)
    """Ids of the events that recommendations are made for."""
    poison: Counter[bytes] = field(default_factory=Counter)
    came: Counter[str] = field(default_factory=Counter)
    kept: Counter[bytes] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    memory: list[dict[str, float]] = field(default_factory=list)
    """Megabytes by part (`memory_by_part`), each time a tenth has come back."""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return self.came == Counter(self.good) and self.kept == self.poison and len(self.versions) == 3 and self.is_flat

    @property
    def is_flat(self) -> bool:
        return all(most <= first + GROWTH_MB for part, first, most, _ in self.growth() if not part.startswith("("))

    def growth(self) -> Iterator[tuple[str, float, float, float]]:
        """Part, and its memory after the first tenth, the most after that, and at the end."""
        for part in sorted({part for sample in self.memory for part in sample}):
            megabytes = [sample.get(part, 0.0) for sample in self.memory]
            yield part, megabytes[0], max(megabytes), megabytes[-1]

    def table(self) -> Table:
        table = Table("", "", title=f"{self.way}: {'holds' if self.holds else 'DOES NOT HOLD'}", show_header=False)
        doubled = sum(count > 1 for count in self.came.values())
        lost, strange = len(self.good - self.came.keys()), len(self.came.keys() - self.good)
        table.add_row("good events", f"{len(self.good):,}: {lost} lost, {doubled} doubled, {strange} unexplained")
        missed, more = (self.poison - self.kept).total(), (self.kept - self.poison).total()
        table.add_row("poison", f"{self.poison.total():,}: {missed} lost, {more} too many")
        table.add_row("by version", ", ".join(f"{count:,}" for _, count in sorted(self.versions.items())))
        table.add_row("events/s", f"{len(self.good) / self.seconds:,.0f} over {self.seconds:,.0f} s")
        for part, first, most, last in self.growth():
            limit = "" if part.startswith("(") else f" (limit {first + GROWTH_MB:,.1f})"
            later = f"at most {most:,.1f}{limit} later, {last:,.1f} at the end"
            table.add_row(f"MB, {part}", f"{first:,.1f} after a tenth, {later}")
        return table


def soak(folder: Path, artifacts: Path, way: str, n_events: int, console: Console) -> Soak:
    with running_services(folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", {**SETTINGS, "stream.delivery": way}))
        with Streaming(deployment) as streaming:
            publish(deployment, artifacts, version_name(0))
            streaming.wait_for_load(version_name(0))
            return _Run(deployment, streaming, artifacts, Soak(way), console).run(n_events)


class _Run:
    def __init__(
        self, deployment: Deployment, streaming: Streaming, artifacts: Path, soak: Soak, console: Console
    ) -> None:
        self._deployment, self._streaming, self._artifacts = deployment, streaming, artifacts
        self._soak, self._console = soak, console
        self._s3, self._kinesis = deployment.cloud.client("s3"), deployment.cloud.client("kinesis")
        self._stream, self._bucket = (
            deployment.output(f"{n}") for n in ("event_stream_name", "recommendations_bucket")
        )
        self._seen: set[str] = set()
        self._put = 0

    def run(self, n_events: int) -> Soak:
        soak, began = self._soak, time.monotonic()
        # Each begins when the one before is over, and events wait for it, so that each gets its share of them.
        disturbances = iter(
            [(0.35, self._publish_second), (0.5, self._restart_database), (0.65, self._publish_third), (0.9, None)]
        )
        at, disturb = next(disturbances)
        working: list[threading.Thread] = []
        moved, back = began, 0
        while True:
            before = back
            back = self._count()
            is_disturbed = any(thread.is_alive() for thread in working)
            if back > before or is_disturbed:
                moved = time.monotonic()
            if back >= (len(soak.memory) + 1) * n_events / 10 and len(soak.memory) < 10:
                self._sample()
            if self._put >= int(at * n_events) and not is_disturbed:
                if disturb is not None:
                    working.append(threading.Thread(target=disturb))
                    working[-1].start()
                at, disturb = next(disturbances, (1.0, None))
            waiting = len(soak.good) + soak.poison.total() - back
            may_put = int(at * n_events) - self._put
            if may_put > 0 and waiting < MAX_WAITING:
                self._put_batch(min(BATCH, may_put))
                continue
            if waiting <= 0 and self._put >= n_events:
                break
            if time.monotonic() - moved > PATIENCE_SECONDS:
                self._console.print(f"{waiting} are missing: {self._streaming.reasons()}")
                break
            time.sleep(0.2)
        soak.seconds = time.monotonic() - began
        for thread in working:
            thread.join()
        time.sleep(3)  # whatever comes twice has come
        self._count()
        self._sample()
        return soak

    def _put_batch(self, n: int) -> None:
        records, expected = [], []
        for number in range(self._put, self._put + n):
            data, parts = record_and_events(number)
            records.append({"Data": data, "PartitionKey": str(number)})
            expected.append(parts)
        answer = self._kinesis.put_records(StreamName=self._stream, Records=records)
        assert answer["FailedRecordCount"] == 0, answer
        for result, parts in zip(answer["Records"], expected, strict=True):
            for place, poison in enumerate(parts):
                if poison is None:
                    self._soak.good.add(f"{result['SequenceNumber']}:{place}" if place else result["SequenceNumber"])
                else:
                    self._soak.poison[poison] += 1
        self._put += n

    def _count(self) -> int:
        """Reads new records; returns how many came back or are kept in all."""
        for record in self._new_lines(RECOMMENDATIONS_PREFIX):
            assert record["recommended_items"], record
            self._soak.came[record["event_id"]] += 1
            self._soak.versions[record["model_version"]] += 1
        for document in self._new_lines(FAILED_PREFIX):
            self._soak.kept[base64.b64decode(document["rawData"])] += 1
        return self._soak.came.total() + self._soak.kept.total()

    def _new_lines(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for key in [item["Key"] for page in pages for item in page.get("Contents", [])]:
            if key not in self._seen:
                self._seen.add(key)
                body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                yield from (json.loads(line) for line in body.split(b"\n") if line)

    def _publish_second(self) -> None:
        self._publish(1)

    def _publish_third(self) -> None:
        self._publish(2)

    def _publish(self, number: int) -> None:
        publish(self._deployment, self._artifacts, version_name(number))
        self._streaming.wait_for_load(version_name(number))
        self._console.print(f"{self._soak.way}: version {number + 1} is active at {self._put:,} events")

    def _restart_database(self) -> None:
        database = self._deployment.database("postgres")
        assert database is not None
        database.server.stop()
        time.sleep(RESTART_SECONDS)
        database.server.start()
        self._console.print(f"{self._soak.way}: the vector store is back at {self._put:,} events")

    def _sample(self) -> None:
        self._soak.memory.append(memory_by_part())
        self._console.print(f"{self._soak.way}: {self._soak.came.total():,} came back, {self._soak.kept.total()} kept")


if __name__ == "__main__":
    sys.exit(main())
