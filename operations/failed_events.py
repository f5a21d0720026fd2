"""Reads the documents of events that failed: Firehose's, the stream transformation's, and Lambda's."""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.aggregation import packed_id, unpack
from contracts.events import MAX_RECORD_BYTES, original, replayed
from functions.shared.events import RecordError
from functions.stream_transformation.records import Record

_GZIP = b"\x1f\x8b"

TOO_LARGE = "too_large"
"""A reason for which an event would fail again, in addition to those of the stream transformation's own check."""

ALWAYS_AGAIN = frozenset({"line_over_1000_kb"})
"""Reasons of the stream transformation for which a second try would fail too."""

OUTAGE = frozenset({"RetryAttemptsExhausted", "RecordAgeExceeded"})
"""Conditions in Lambda's invocation records that mean an outage, not a bad event."""


UNREADABLE = (ValueError, KeyError, TypeError, OSError, EOFError, RecursionError, zlib.error)
"""The errors that a file raises if it is no error document: another kind of text, or a damaged gzip."""


@dataclass(frozen=True)
class FailedEvent:
    """An event as its producer sent it, with its id and the error code of its failure."""

    data: bytes
    event_id: str
    code: str
    was_replayed: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """The entry of a PutRecords request. Its key spreads a replay over the shards, and is short because it counts
        towards the record's size."""
        key = hashlib.sha256(self.event_id.encode()).hexdigest()[:4]
        return {"Data": replayed(self.data, self.event_id), "PartitionKey": key}

    @property
    def size(self) -> int:
        """Bytes of the record, as Kinesis counts them."""
        record = self.record
        return len(record["Data"]) + len(record["PartitionKey"].encode())

    @property
    def is_an_outages(self) -> bool:
        """True if the event failed together with its whole batch. All of Firehose's codes mean that, except the one of
        a single record."""
        return self.code in OUTAGE or (self.code.startswith("Lambda.") and self.code != "Lambda.ProcessingFailedStatus")

    def would_fail(self) -> str | None:
        """Returns the reason for which an event would fail again, or None."""
        if self.code in ALWAYS_AGAIN:
            return self.code
        try:
            Record(self.data, self.event_id)
        except RecordError as error:
            return error.reason
        return TOO_LARGE if self.size > MAX_RECORD_BYTES else None


def read_documents(content: bytes) -> Iterator[FailedEvent]:
    """Yields the events of one file, compressed or not. Raises one of `UNREADABLE` where it is something else."""
    text = gzip.decompress(content) if content.startswith(_GZIP) else content
    for line in text.split(b"\n"):
        if not line.strip():
            continue
        document = json.loads(line)
        if "rawData" in document:
            data = base64.b64decode(document["rawData"])
            number = document.get("sequenceNumber")
            code = str(document["errorCode"])
            yield _event(data, str(number) if number else _digest(document["arrivalTimestamp"], data), code)
        else:
            code, payload = document["requestContext"]["condition"], document["payload"]
            for record in (json.loads(payload) if isinstance(payload, str) else payload)["Records"]:
                data, number = base64.b64decode(record["kinesis"]["data"]), record["kinesis"]["sequenceNumber"]
                for place, part in enumerate(unpack(data) or [data]):
                    yield _event(part, packed_id(number, place), code)


def _event(data: bytes, identity: str, code: str) -> FailedEvent:
    content, replayed_id = original(data)
    return FailedEvent(content, replayed_id or identity, code, replayed_id is not None)


def _digest(arrival_ms: int, data: bytes) -> str:
    """Returns an id made of arrival and data. Two events share it only if the same bytes came in the same
    millisecond."""
    digest = hashlib.sha256(f"{arrival_ms}\n".encode() + data).digest()[:16]
    return "replayed-" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
