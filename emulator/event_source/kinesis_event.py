"""A batch of Kinesis records for a function: the event of the call, and the failures that the answer reports."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.delivery.records import SourceRecord
from emulator.event_source.mapping_settings import MappingSettings

MAX_PAYLOAD = 6 * 1024 * 1024
"""Lambda's limit for an invocation's payload, in bytes."""


@dataclass
class Batch:
    """Records of one shard, in order. `failures` counts the function's failures, `invocations` all calls."""

    records: list[SourceRecord]
    failures: int = 0
    invocations: int = 0
    not_before: float = 0.0
    response: bytes = b""

    def part(self, which: slice) -> "Batch":
        """Returns a half of a bisected batch. It has used as many retries as the whole."""
        return Batch(self.records[which], self.failures, self.invocations, 0.0, self.response)


def event_record(record: SourceRecord, settings: MappingSettings) -> dict[str, Any]:
    """Returns a record in the form of Lambda's event for Kinesis (Lambda developer guide)."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number,
            "data": base64.b64encode(record.data).decode(),
            "approximateArrivalTimestamp": record.arrival_ms / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{record.shard_id}:{record.sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": settings.role_arn,
        "awsRegion": settings.region,
        "eventSourceARN": settings.stream_arn,
    }


def size_of(event: dict[str, Any]) -> int:
    """Returns a record's share of the payload in bytes, including the ", " before it."""
    return len(json.dumps(event)) + 2


def failed_from(body: bytes, sequence_numbers: Sequence[str]) -> int:
    """Returns the index of the first failed record: the number of records if none failed, 0 if the answer is not valid.

    All records from the lowest failed sequence number on are tried again. An item with a missing, empty or unknown
    identifier makes the whole batch a failure.
    """
    try:
        answer = json.loads(body) if body.strip() else None
        failures = (answer or {}).get("batchItemFailures") or []
        indexes = [sequence_numbers.index(failure["itemIdentifier"]) for failure in failures]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0
    return min(indexes, default=len(sequence_numbers))
