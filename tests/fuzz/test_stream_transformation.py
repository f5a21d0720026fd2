"""The stream transformation under arbitrary records: each is answered for once, and none costs another."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from contracts.events import RECOMMENDED, EventType, replayed
from functions.shared.limits import PAYLOAD_BYTES
from functions.stream_transformation import event_source
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient
from tests.functions.lambdas import GOOD, LIMIT, Context, Recommender, firehose_event, packed
from tests.functions.test_event_source_records import Bucket, Firehose
from tests.fuzz import TIMEOUT, for_a_while

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = stream.logger.log_level
    stream.logger.setLevel("CRITICAL")
    yield
    stream.logger.setLevel(before)


KEYS = ["session_id", "browse_history", "customer_number", "city", "country", "credit_limit", "type", "event_id",
        "product_code", "quantity", "in_shopping_cart", "recommended_items", "model_version", ""]  # fmt: skip
ANY_TEXT = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(["\ud800", "\u2028", "\x00", "S10_1678"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 2**63, -(2**70), 1e308, 5e-324])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda of: st.lists(of, max_size=5) | st.dictionaries(st.sampled_from(KEYS) | ANY_TEXT, of, max_size=5),
    max_leaves=20,
)
ENTRIES = st.fixed_dictionaries(
    {"product_code": ANY_TEXT | NUMBERS}, optional={key: ANY_JSON for key in KEYS if key != "product_code"}
)
EVENTS = st.fixed_dictionaries(
    {"session_id": ANY_TEXT},
    optional={
        **dict.fromkeys(KEYS[2:], ANY_JSON),
        "browse_history": st.lists(ENTRIES, max_size=5),
        "type": st.sampled_from(EventType) | ANY_JSON,
        "items": st.lists(ENTRIES, max_size=5) | ANY_JSON,
    },
)
JSON_RECORDS = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"),
    EVENTS | ANY_JSON,
    st.booleans(),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record with some of its bytes cut out, doubled or changed."""
    data = draw(JSON_RECORDS)
    for _ in range(draw(st.integers(1, 3))):
        begin, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        data = draw(st.sampled_from([data[:begin] + data[end:], data[:end] + data[begin:]]))
        data = data[:begin] + draw(st.binary(max_size=2)) + data[begin:]
    return data


RECORDS = st.one_of(
    st.binary(max_size=80),
    JSON_RECORDS,
    damaged(),
    JSON_RECORDS.map(lambda data: replayed(data, "4959" * 14)),
    st.integers(1, 40_000).map(lambda depth: GOOD[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"),
)
BATCHES = st.lists(RECORDS, max_size=8)
PACKED = BATCHES.filter(bool).map(lambda batch: packed(*batch))


def _firehose(records: list[bytes]) -> None:
    event = firehose_event(*[part for record in records for part in (record, GOOD)])
    stream._client = InferenceClient("inference", LIMIT, Recommender())
    answer = stream.handler(event, Context())
    assert [one["recordId"] for one in answer["records"]] == [one["recordId"] for one in event["records"]]
    assert len(json.dumps(answer)) < PAYLOAD_BYTES + 64 * 1024
    for one in answer["records"][1::2]:
        assert one["result"] == "Ok", "a record cost its neighbour"
    for one in answer["records"]:
        assert one["result"] in ("Ok", "ProcessingFailed")
        if one["result"] == "Ok":
            _is_a_line(base64.b64decode(one["data"], validate=True))


def _kinesis(records: list[bytes]) -> None:
    firehose, bucket = Firehose(), Bucket()
    stream._client = InferenceClient("inference", LIMIT, Recommender())
    stream._writer = event_source.DeliveryStream("delivery", firehose)
    stream._bucket = event_source.FailureBucket("failures", bucket)
    mixed = [part for record in records for part in (record, GOOD)]
    kinesis: list[event_source.KinesisData] = [
        {"sequenceNumber": str(n), "data": base64.b64encode(data).decode(), "approximateArrivalTimestamp": 1.5}
        for n, data in enumerate(mixed, 1000)
    ]
    event: event_source.KinesisEvent = {
        "Records": [{"eventID": f"shard:{n}", "kinesis": one} for n, one in enumerate(kinesis)]
    }
    assert stream.handler(event, Context()) == {"batchItemFailures": []}, "a record that never succeeds is not retried"
    for line in firehose.lines:
        _is_a_line(line)
    asked = Counter(record.sequence_number for batch in event_source.read(event) for record in batch)
    lines = [json.loads(line)["event_id"] for line in firehose.lines]
    kept = [document["sequenceNumber"] for document in bucket.kept()]
    told = Counter(id_ for id_ in lines if id_ in asked) + Counter(kept)
    n_replayed = sum(id_ not in asked for id_ in lines)
    assert not told - asked, "a record is answered for twice"
    assert (asked - told).total() == n_replayed, "a record is not answered for"
    assert {str(n) for n in range(1001, 1000 + len(mixed), 2)} <= set(lines), "a record cost its neighbour"


def _is_a_line(line: bytes) -> None:
    record: Any = json.loads(line)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert "recommended_items" in record or record["type"] not in RECOMMENDED
    assert isinstance(record["event_id"], str)


def test_any_batch_of_firehose_is_answered_record_by_record() -> None:
    assert for_a_while(BATCHES, _firehose)


def test_any_batch_of_kinesis_is_delivered_or_kept_record_by_record() -> None:
    assert for_a_while(st.lists(PACKED | RECORDS, max_size=6), _kinesis)
