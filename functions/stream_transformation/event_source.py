"""The second way in: Kinesis calls the function, and the lines go to Firehose by direct put, with no buffer before.

How a record that cannot be recommended for leaves the batch (Lambda: "Reporting batch item failures", Kinesis): what
comes before it is delivered, and its sequence number is reported, so that the next batch starts with it. A batch that
starts with it is raised as a whole, so that `BisectBatchOnFunctionError` halves it until the record is alone and, when
its retries are used up, goes to the on-failure destination: without a good record beside it.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functions.shared.deadline import Deadline
from functions.stream_transformation.firehose import decode
from functions.stream_transformation.transform import Raw, Transformed

PUT_RECORDS, PUT_BYTES, RECORD_BYTES = 500, 4 * 1024 * 1024, 1000 * 1024
"""Most records and bytes of a PutRecordBatch call, and bytes of a record (Amazon Data Firehose quota)."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0


class PoisonError(RuntimeError):
    """The first of several records cannot be recommended for: Lambda halves the batch."""


class DeliveryError(RuntimeError):
    """Firehose did not take all lines before the deadline."""


class DeliveryStream:
    """Puts lines to one delivery stream. `client` is boto3's for Firehose."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client

    def put(self, lines: Sequence[bytes], deadline: Deadline) -> None:
        """Puts all lines, in order but for those that Firehose asks to send again. Raises `DeliveryError`."""
        for batch in _batches(lines):
            self._put(batch, deadline)

    def _put(self, lines: list[bytes], deadline: Deadline) -> None:
        wait = FIRST_WAIT
        while True:
            lines, problem = self._try(lines)
            if not lines:
                return
            pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
            if time.monotonic() + pause >= deadline.at:
                raise DeliveryError(f"{self._name}: {len(lines)} lines were not taken in the time left: {problem}")
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)

    def _try(self, lines: list[bytes]) -> tuple[list[bytes], str]:
        """The lines that were not taken, and why."""
        try:
            answer = self._client.put_record_batch(
                DeliveryStreamName=self._name, Records=[{"Data": line} for line in lines]
            )
        except Exception as error:  # whatever it is, the lines must be taken or the batch raised
            return lines, str(error)
        results = list(zip(lines, answer["RequestResponses"], strict=True))
        refused = [(line, result) for line, result in results if "ErrorCode" in result]
        return [line for line, _ in refused], refused[0][1]["ErrorCode"] if refused else ""


def read(event: Mapping[str, Any]) -> list[Raw]:
    """The records of Kinesis' event."""
    sources = [record["kinesis"] for record in event["Records"]]
    return [Raw(source["sequenceNumber"], decode(source["data"]), source["sequenceNumber"]) for source in sources]


def deliver(records: Sequence[Raw], result: Transformed, stream: DeliveryStream, deadline: Deadline) -> dict[str, Any]:
    """Puts the lines before the first failed record, and reports that record to Lambda. Raises `DeliveryError`,
    `PoisonError`."""
    good: list[bytes] = []
    failed: Raw | None = None
    for record in records:
        line = result.lines.get(record.id)
        if line is None or len(line) > RECORD_BYTES:
            failed = record
            break
        good.append(line)
    if failed is not None and not good and len(records) > 1:
        reason = result.failures.get(failed.id, "line_over_1000_kb")
        raise PoisonError(f"record {failed.sequence_number}: {reason}: it is the first of {len(records)}")
    stream.put(good, deadline)
    return {"batchItemFailures": [] if failed is None else [{"itemIdentifier": failed.sequence_number}]}


def firehose_client() -> Any:
    """boto3's client. Its own retries are off: they know nothing of the time that is left."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "firehose", config=Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 1})
    )


def _batches(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == PUT_RECORDS or size + len(line) > PUT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch
