"""The receiver of recommendations: a wait ends when every event is accounted for, and not before."""

import base64
import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from contracts.events import FAILED_PREFIX
from operations.recommendations import RECOMMENDATIONS_PREFIX, Receiver
from tests.emulator.aws import Aws, unique


@dataclass(frozen=True)
class Bucket:
    """A bucket of the test's own, as the delivery stream and the transformation write into it."""

    s3: Any
    name: str

    def put(self, prefix: str, **line: Any) -> None:
        self.s3.put_object(Bucket=self.name, Key=unique(prefix), Body=json.dumps(line).encode() + b"\n")

    def put_failure(self, **fields: Any) -> None:
        self.put(FAILED_PREFIX, errorCode="wrong_shape", rawData=base64.b64encode(b"poison").decode(), **fields)


@pytest.fixture
def bucket(aws: Aws) -> Bucket:
    made = Bucket(aws.client("s3"), unique("received"))
    made.s3.create_bucket(Bucket=made.name)
    return made


def test_failures_of_other_events_do_not_end_the_wait(bucket: Bucket) -> None:
    receiver = Receiver(bucket.s3, bucket.name)
    for number in ("p1", "p2"):
        bucket.put_failure(sequenceNumber=number)
    bucket.put(RECOMMENDATIONS_PREFIX, event_id="e1")
    late = threading.Timer(0.5, bucket.put, (RECOMMENDATIONS_PREFIX,), {"event_id": "e2"})
    late.start()
    assert receiver.wait_for({"e1", "e2"}, timeout=20) == set()
    late.join()


@pytest.mark.parametrize("fields", [{"sequenceNumber": "e1"}, {}], ids=["an event source's", "Firehose's"])
def test_a_failure_that_accounts_for_the_missing_event_ends_the_wait(bucket: Bucket, fields: dict[str, str]) -> None:
    receiver = Receiver(bucket.s3, bucket.name)
    bucket.put_failure(**fields)
    assert receiver.wait_for({"e1"}, timeout=600) == {"e1"}
