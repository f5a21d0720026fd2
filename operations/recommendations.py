"""Reads the recommendation records, and the failures, that the delivery stream wrote to S3."""

import base64
import gzip
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from contracts.events import FAILED_PREFIX

Record = dict[str, Any]

RECOMMENDATIONS_PREFIX = "recommendations/"


@dataclass
class Received:
    """Records by event id (the Kinesis sequence number); a record that was delivered twice counts once."""

    recommendations: dict[str, Record] = field(default_factory=dict)
    """Records of all types of events; those of visits and carts have recommendations."""
    failures: list[Record] = field(default_factory=list)
    """Lines of `processing-failed/`, with `rawData` decoded to text."""

    def reasons(self) -> str:
        """Returns the reasons of the failures, each once."""
        return "; ".join(sorted({f"{line.get('errorCode')}: {line.get('errorMessage')}" for line in self.failures}))


class Receiver:
    """Reads each object of the bucket once."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._seen: set[str] = set()
        self.received = Received()

    def poll(self) -> Received:
        """Reads the objects that were not read before, and returns everything received so far."""
        for record in self._new_lines(RECOMMENDATIONS_PREFIX):
            self.received.recommendations[str(record["event_id"])] = record
        for record in self._new_lines(FAILED_PREFIX):
            raw = base64.b64decode(record.get("rawData", ""))
            self.received.failures.append(record | {"rawData": raw.decode(errors="replace")})
        return self.received

    def wait_for(
        self, event_ids: Collection[str], timeout: float, progress: Callable[[int], None] = lambda _: None
    ) -> set[str]:
        """Waits until every event came back or `timeout` seconds are over, and returns the ids still missing.

        The wait also ends when as many failures arrived as events are missing. Poll once before sending, because only
        failures that arrive after this call began are counted. A failure that names its event (an event source's; the
        documents of Firehose name none) counts only if that event is missing.
        """
        deadline = time.monotonic() + timeout
        before = len(self.received.failures)
        while True:
            received = self.poll()
            missing = set(event_ids) - received.recommendations.keys()
            progress(len(event_ids) - len(missing))
            failed = [line for line in received.failures[before:] if line.get("sequenceNumber") in {None, *missing}]
            if len(missing) <= len(failed) or time.monotonic() > deadline:
                return missing
            time.sleep(0.2)

    def _new_lines(self, prefix: str) -> Iterator[Record]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
            if key in self._seen:
                continue
            self._seen.add(key)
            yield from read_lines(self._s3, self._bucket, key)


def read_lines(s3: Any, bucket: str, key: str) -> Iterator[Record]:
    """Yields the JSON lines of an object that the delivery stream wrote, gzipped or not."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    lines = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).split(b"\n")
    yield from (json.loads(line) for line in lines if line)
