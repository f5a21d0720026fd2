"""The receiver of recommendations: a wait ends when every event is accounted for, and not before."""

import base64
import json
import threading
from typing import Any

import pytest

from contracts.events import FAILED_PREFIX
from operations.recommendations import RECOMMENDATIONS_PREFIX, Receiver
from tests.emulator.aws import Aws, unique


@pytest.fixture
def put(aws: Aws) -> Any:
    """Puts a line below a prefix of the test's own bucket, which is `put.bucket`."""
    s3, bucket = aws.client("s3"), unique("received")
    s3.create_bucket(Bucket=bucket)

    def put_line(prefix: str, **line: Any) -> None:
        s3.put_object(Bucket=bucket, Key=unique(prefix), Body=json.dumps(line).encode() + b"\n")

    put_line.bucket, put_line.s3 = bucket, s3  # type: ignore[attr-defined]
    return put_line


def failed(put: Any, **fields: Any) -> None:
    put(FAILED_PREFIX, errorCode="wrong_shape", rawData=base64.b64encode(b"poison").decode(), **fields)


def test_failures_of_other_events_do_not_end_the_wait(put: Any) -> None:
    receiver = Receiver(put.s3, put.bucket)
    for number in ("p1", "p2"):
        failed(put, sequenceNumber=number)
    put(RECOMMENDATIONS_PREFIX, event_id="e1")
    late = threading.Timer(0.5, put, (RECOMMENDATIONS_PREFIX,), {"event_id": "e2"})
    late.start()
    assert receiver.wait_for({"e1", "e2"}, timeout=20) == set()
    late.join()


@pytest.mark.parametrize("fields", [{"sequenceNumber": "e1"}, {}], ids=["an event source's", "Firehose's"])
def test_a_failure_that_accounts_for_the_missing_event_ends_the_wait(put: Any, fields: dict[str, str]) -> None:
    receiver = Receiver(put.s3, put.bucket)
    failed(put, **fields)
    assert receiver.wait_for({"e1"}, timeout=600) == {"e1"}
