"""`delivery: event_source`: Kinesis calls the function without a buffer, and the lines go to Firehose by direct put.

The function itself keeps a record that can never succeed in the failure bucket, so that it does not hold up the others.
It raises only if the batch may succeed later, because inference, Firehose or the bucket does not answer in time: Lambda
then sends the batch again (Lambda developer guide, "Using Lambda with Kinesis"). So an answer never names a failed
record.
"""

import base64
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, final

from contracts.aggregation import packed_id, unpack
from contracts.batches import split
from contracts.events import FAILED_PREFIX
from functions.shared.backoff import Backoff
from functions.shared.deadline import Deadline
from functions.stream_transformation.firehose import decode
from functions.stream_transformation.transform import Raw, Transformed

PUT_RECORDS, PUT_BYTES, RECORD_BYTES = 500, 4 * 1024 * 1024, 1000 * 1024
"""The most records and bytes of a PutRecordBatch call, and the most bytes of a record (Amazon Data Firehose quota)."""

NOTHING_TO_RETRY: dict[str, Any] = {"batchItemFailures": []}
"""The answer by which Lambda tries no record of the batch again."""

EVENTS_AT_ONCE = 2000
"""The most events that are in work at a time. A record of 1 MiB may hold 200,000 packed events, and an event in work
takes a hundred times the bytes of the smallest one."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0
"""Seconds between two tries: see `Backoff`."""


class KinesisData(TypedDict):
    """The content of a Kinesis record."""

    sequenceNumber: str
    data: str
    """The event's bytes in base64; several events, if a producer packed them (KPL)."""
    approximateArrivalTimestamp: float
    """Seconds since 1970."""


class KinesisRecord(TypedDict):
    """A record of the stream, for instance `{"eventID": "shardId-000000000006:4959…", "kinesis": {…}}`."""

    eventID: str
    """The shard's id and the sequence number, joined by a colon."""
    kinesis: KinesisData


@final
class KinesisEvent(TypedDict):
    """A batch of one shard (AWS Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data
    Streams")."""

    Records: list[KinesisRecord]


class DeliveryError(RuntimeError):
    """Firehose did not take all lines before the deadline."""


class DeliveryStream:
    """Puts lines to one delivery stream. `client` is boto3's for Firehose."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client

    def put(self, lines: Sequence[bytes], deadline: Deadline) -> None:
        """Puts all lines, in order except for those that Firehose asks to send again. Raises `DeliveryError`."""
        for batch in split(lines, len, PUT_BYTES, PUT_RECORDS):
            self._put(batch, deadline)

    def _put(self, lines: list[bytes], deadline: Deadline) -> None:
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, deadline.at)
        while True:
            lines, problem = self._try(lines)
            if not lines:
                return
            if not backoff.wait():
                raise DeliveryError(f"{self._name}: {len(lines)} lines were not taken in the time left: {problem}")

    def _try(self, lines: list[bytes]) -> tuple[list[bytes], str]:
        """Puts the lines once. Returns those that Firehose did not take, and the first one's error."""
        try:
            answer = self._client.put_record_batch(
                DeliveryStreamName=self._name, Records=[{"Data": line} for line in lines]
            )
        except Exception as error:  # whatever it is, the lines must be taken or the batch raised
            return lines, str(error)
        results = list(zip(lines, answer["RequestResponses"], strict=True))
        refused = [(line, result) for line, result in results if "ErrorCode" in result]
        return [line for line, _ in refused], refused[0][1]["ErrorCode"] if refused else ""


class FailureBucket:
    """Keeps records that can never be recommended for. `client` is boto3's for S3."""

    def __init__(self, bucket: str, client: Any) -> None:
        self._bucket = bucket
        self._client = client

    def keep(self, records: Sequence[Raw], reasons: Mapping[str, str], function_arn: str) -> None:
        """Writes the records as one object, a line each, in the format of Firehose's error documents, which replay
        reads.

        The object's name depends only on the batch's first record, so a batch that comes again replaces it. Raises what
        boto3 raises.
        """
        first, now_ms = records[0], round(time.time() * 1000)
        arrival = datetime.fromtimestamp(first.arrival_ms / 1000, UTC)
        lines = [
            json.dumps(
                {
                    "attemptsMade": 1,
                    "arrivalTimestamp": record.arrival_ms,
                    "errorCode": reasons[record.id],
                    "errorMessage": "The event cannot be recommended for, however often it is tried.",
                    "attemptEndingTimestamp": now_ms,
                    "rawData": base64.b64encode(record.data or b"").decode(),
                    "lambdaArn": function_arn,
                    "shardId": record.shard_id,
                    "sequenceNumber": record.sequence_number,
                }
            )
            for record in records
        ]
        key = f"{FAILED_PREFIX}{arrival:%Y/%m/%d/%H}/{first.shard_id}-{first.sequence_number}.json"
        self._client.put_object(Bucket=self._bucket, Key=key, Body="".join(f"{line}\n" for line in lines).encode())


def read(event: KinesisEvent) -> Iterator[list[Raw]]:
    """Yields the records of Kinesis' event, `EVENTS_AT_ONCE` at a time; records that a producer packed are unpacked."""
    raws = (raw for record in event["Records"] for raw in _read(record))
    while batch := list(itertools.islice(raws, EVENTS_AT_ONCE)):
        yield batch


def _read(record: KinesisRecord) -> Iterator[Raw]:
    source = record["kinesis"]
    number, data = source["sequenceNumber"], decode(source["data"])
    shard_id = record["eventID"].partition(":")[0]
    arrival_ms = round(1000 * source["approximateArrivalTimestamp"])
    parts: Sequence[bytes | None] = (unpack(data) if data else None) or [data]
    for place, part in enumerate(parts):
        id_ = packed_id(number, place)
        yield Raw(id_, part, id_, shard_id, arrival_ms)


def deliver(
    records: Sequence[Raw],
    result: Transformed,
    stream: DeliveryStream,
    bucket: FailureBucket,
    function_arn: str,
    deadline: Deadline,
) -> None:
    """Keeps failed records, and puts the lines of all others.

    Adds lines that are too long for Firehose to `result.failures`. Raises `DeliveryError`, or what the bucket raises.
    """
    lines = [(record, result.lines[record.id]) for record in records if record.id in result.lines]
    result.failures |= {record.id: "line_over_1000_kb" for record, line in lines if len(line) > RECORD_BYTES}
    if failed := [record for record in records if record.id in result.failures]:
        bucket.keep(failed, result.failures, function_arn)
    stream.put([line for record, line in lines if record.id not in result.failures], deadline)
