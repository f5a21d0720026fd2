"""Records of the Kinesis Producer Library, which packs several events into one: each event is one of its own."""

import base64
import hashlib
import json
import tracemalloc
from collections import Counter

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from hypothesis import given
from hypothesis import strategies as st

from contracts.aggregation import MAGIC, packed_id, unpack
from functions.stream_transformation import handler as stream
from functions.stream_transformation.event_source import EVENTS_AT_ONCE
from functions.stream_transformation.inference import InferenceClient
from tests.functions.lambdas import GOOD, LIMIT, Context, Recommender, firehose_event, packed
from tests.functions.test_event_source_records import Bucket, Firehose, from_kinesis

MAX_PEAK_BYTES = 40_000_000
"""A small part of the function's 512 MB."""


def test_as_an_event_source_it_unpacks_what_a_producer_packed() -> None:
    firehose, bucket = Firehose(), Bucket()
    from_kinesis(firehose, packed(GOOD, GOOD, b"bad", GOOD), GOOD, bucket=bucket)
    ids = [json.loads(line)["event_id"] for line in firehose.lines]
    assert ids == ["490000", "490000:1", "490000:3", "490001"]
    assert [line["sequenceNumber"] for line in bucket.kept()] == ["490000:2"]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=9), st.data())
def test_what_was_packed_is_unpacked_and_what_is_damaged_is_not(contents: list[bytes], data: st.DataObject) -> None:
    aggregated = packed(*contents)
    assert unpack(aggregated) == contents
    at = data.draw(st.integers(0, len(aggregated) - 1))
    damaged = aggregated[:at] + bytes([aggregated[at] ^ 1]) + aggregated[at + 1 :]
    assert unpack(damaged) is None
    assert unpack(aggregated[:at]) is None


@given(st.binary(max_size=100))
def test_any_bytes_with_the_right_digest_are_unpacked_or_refused(message: bytes) -> None:
    unpack(MAGIC + message + hashlib.md5(message).digest())


def test_records_of_one_packed_kinesis_record_have_ids_of_their_own() -> None:
    event = firehose_event(GOOD)
    event["records"][0]["kinesisRecordMetadata"]["subsequenceNumber"] = 3
    stream._client = InferenceClient("inference", LIMIT, Recommender())
    answer = stream.handler(event, Context())
    assert json.loads(base64.b64decode(answer["records"][0]["data"]))["event_id"] == "4960000000:3"


class CountingFirehose(Firehose):
    """Remembers the ids of lines alone, so that what is measured is the function's own memory."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()

    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> object:
        answer = super().put_record_batch(DeliveryStreamName, Records)
        self.ids.update(json.loads(line)["event_id"] for line in self.lines)
        self.lines.clear()
        return answer


class CountingBucket(Bucket):
    """Remembers the ids of what is kept alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.most_at_once = 0

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        super().put_object(Bucket, Key, Body)
        kept = [document["sequenceNumber"] for document in self.kept()]
        self.ids.update(kept)
        self.most_at_once = max(self.most_at_once, len(kept))
        self.objects.clear()


def full_of(content: bytes) -> tuple[bytes, int]:
    """A record packed with as many events of this content as Kinesis takes, and their number."""
    aggregator, number = RecordAggregator(), 0
    while (full := aggregator.add_user_record("k", content)) is None:
        number += 1
    aggregated: bytes = full.get_contents()[2]
    return aggregated, number


@pytest.mark.parametrize(
    ("content", "is_good"), [(b'{"session_id":"","browse_history":[]}', True), (b"?", False)], ids=["good", "poison"]
)
def test_a_record_full_of_tiny_events_is_answered_event_by_event_in_memory_that_is_bounded(
    content: bytes, is_good: bool
) -> None:
    data, number = full_of(content)
    assert number > 5 * EVENTS_AT_ONCE
    firehose, bucket = CountingFirehose(), CountingBucket()
    tracemalloc.start()
    assert from_kinesis(firehose, data, GOOD, bucket=bucket) == {"batchItemFailures": []}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    events = Counter(packed_id("490000", place) for place in range(number))
    assert firehose.ids == (events if is_good else Counter()) + Counter(["490001"])
    assert bucket.ids == (Counter() if is_good else events)
    assert bucket.most_at_once <= EVENTS_AT_ONCE
    assert peak < MAX_PEAK_BYTES
