"""Whatever bytes come off the stream: as many answers as records, and no record costs another."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Strategy, original, replayed
from emulator.program import ROOT
from functions.shared.limits import ResponseTooLargeError
from functions.shared.serving.requests import RequestError, read_request
from functions.stream_transformation import event_source
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient, InferenceError
from tests.functions.lambdas import LIMIT, Context, LambdaService, deliver, firehose_event

GOOD = json.dumps({"session_id": "s", "customer_number": 1, "browse_history": [{"product_code": "I1"}]}).encode()


class Recommender(LambdaService):
    """An inference function with no model: reads the requests as the real one does, and answers each the same."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.size = size

    def run(self, event: Any) -> Any:
        responses = []
        for raw in event["requests"]:
            try:
                read_request(raw)
                item = {"id": "x" * self.size, "score": 0.5}
                good = {"recommended_items": [item], "similar_items": [], "strategy": "popular"}
                responses.append({"id": raw["id"], **good})
            except RequestError as error:
                responses.append({"id": raw["id"], "error": str(error)})
        answer = {"model_version": "v", "responses": responses}
        if len(json.dumps(answer)) > 6_000_000:
            raise ResponseTooLargeError("over 6 MB")
        return answer


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {"product_code": st.text() | st.integers() | anything},
    optional={"quantity": st.text() | st.integers(), "in_shopping_cart": st.booleans(), "more": anything},
)
events = st.fixed_dictionaries(
    {"session_id": st.text(), "browse_history": st.lists(entries, max_size=3)},
    optional={"customer_number": st.integers() | st.text() | anything, "city": anything, "event_id": anything},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary() | (events | anything).map(lambda e: json.dumps(e).encode("utf-8", "replace")), max_size=5))
def test_any_bytes_and_any_json_cost_no_other_record(poison: list[bytes]) -> None:
    mixed = [GOOD, *[record for each in poison for record in (each, GOOD)]]
    answers = deliver(Recommender(), *mixed)
    assert len(answers) == len(mixed)
    assert {result for result, _ in answers} <= {"Ok", "ProcessingFailed"}
    assert [result for result, _ in answers[::2]] == ["Ok"] * (len(poison) + 1)


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\xff\xfe",
        b'{"session_id":"\xff","browse_history":[]}',
        b'{"session_id":"s","browse_history":[],"city":"\xff"}',
        b'{"session_id":"s","browse_history":[],"city":"\\ud800"}',
        b'{"session_id":"s","browse_history":[],"n":' + b"9" * 5000 + b"}",
        b'{"session_id":"s","browse_history":[],"n":1e999}',
        b'{"session_id":"s","browse_history":[],"n":NaN}',
        b'{"session_id":"s","browse_history":[],"n":' + b"[" * 5000 + b"]" * 5000 + b"}",
        # Deeper than one decoder takes, and than one that adds a few levels of its own (9,998 of Python 3.13's 10,000).
        b'{"session_id":"s","browse_history":[],"n":' + b"[" * 9998 + b"]" * 9998 + b"}",
        b'{"session_id":"s","browse_history":[],"n":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"session_id":"s"}',
        b'{"browse_history":[]}',
        b'{"session_id":"s","browse_history":{}}',
        b'{"session_id":"s","browse_history":[{}]}',
        b'{"session_id":"s","browse_history":[{"product_code":null}]}',
        b'{"session_id":"s","browse_history":[{"product_code":1,"in_shopping_cart":"yes"}]}',
        b'{"session_id":"s","customer_number":1.5,"browse_history":[]}',
        b'{"session_id":"s","type":"buy","browse_history":[]}',
        b'{"session_id":"s","type":["browse"],"browse_history":[]}',
        b'{"session_id":"s","type":"cart","items":[{"product_code":1}]}',
        b'{"session_id":"s","type":"purchase","browse_history":[]}',
        b'{"session_id":"s","type":"purchase","items":[]}',
        b'{"session_id":"s","type":"click","items":[{"product_code":1,"position":0}]}',
        b'{"session_id":"s","type":"rating","items":[{"product_code":1,"rating":"5"}]}',
        b'{"session_id":"s","type":"rating","items":[{"product_code":1,"rating":5},{"product_code":2}]}',
        b'{"session_id":"s","type":"impression","items":[{"product_code":1}],"recommendation_id":7}',
        b"null",
        b"[]",
    ],
)
def test_a_malformed_event_fails_alone(poison: bytes) -> None:
    service = Recommender()
    assert [result for result, _ in deliver(service, GOOD, poison, GOOD)] == ["Ok", "ProcessingFailed", "Ok"]
    assert len(service.calls) == 1


def test_an_event_of_a_hundred_levels_is_good() -> None:
    deep = b'{"session_id":"s","browse_history":[],"n":' + b"[" * 99 + b"]" * 99 + b"}"
    assert [result for result, _ in deliver(Recommender(), deep, GOOD)] == ["Ok", "Ok"]


def test_an_event_that_inference_refuses_fails_alone() -> None:
    class Choosy(Recommender):
        def run(self, event: Any) -> Any:
            answer = super().run(event)
            answer["responses"][1] = {"id": answer["responses"][1]["id"], "error": "not this one"}
            return answer

    assert [result for result, _ in deliver(Choosy(), GOOD, GOOD, GOOD)] == ["Ok", "ProcessingFailed", "Ok"]
    firehose, bucket = Firehose(), Bucket()
    from_kinesis(firehose, GOOD, GOOD, bucket=bucket, service=Choosy())
    assert [document["errorCode"] for document in bucket.kept()] == ["refused_by_inference"]
    assert len(firehose.lines) == 1


def test_what_an_event_brings_stays_byte_for_byte() -> None:
    brought = (
        b'"price": 1.50, "big": 12345678901234567890123, "city": "M\\u00e1laga", "deep": {"b": [1e2,  2], "a": null}'
    )
    stream._client = InferenceClient("inference", LIMIT, Recommender())
    answer = stream.handler(firehose_event(GOOD[:-1] + b", " + brought + b"}"), Context())
    line = base64.b64decode(answer["records"][0]["data"])
    for part in brought.split(b", ")[:3]:
        name, _, value = part.partition(b": ")
        assert name + b":" + value in line
    assert b'"deep":{"b": [1e2,  2], "a": null}' in line


METRICS = re.compile(r'"Name":"(\w+)"')


def test_each_metric_of_the_documentation_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    class Each(Recommender):
        """Answers each request by another strategy."""

        def run(self, event: Any) -> Any:
            answer = super().run(event)
            for response, strategy in zip(answer["responses"], Strategy, strict=True):
                response["strategy"] = strategy
            return answer

    deliver(Each(), *[GOOD] * len(Strategy), b"poison", json.dumps(ACTS[0]).encode())
    page = (ROOT / "docs" / "streaming.md").read_text().partition("| Metric | |")[2].partition("\n\n")[0]
    documented = {name for name in re.findall(r"`(\w+)`", page) if not name.startswith(("Answers", "Inference"))}
    assert set(METRICS.findall(capsys.readouterr().out)) == documented


@pytest.mark.parametrize(
    "good",
    [
        b'{"session_id":"s","browse_history":[]}',
        b'{"session_id":"s","customer_number":null,"browse_history":[]}',
        b'{"session_id":"s","customer_number":"A 1","browse_history":[{"product_code":7,"quantity":1.5}]}',
        b' {"session_id":"s",\r\n "browse_history":[] , "deep":{"a":[1.50,{"b":"\\n"}]}}\n',
    ],
)
def test_an_odd_event_is_recommended_for_and_kept_as_it_was(good: bytes) -> None:
    ((result, record),) = deliver(Recommender(), good)
    assert result == "Ok"
    event = json.loads(good)
    assert {key: record[key] for key in event} == event


ACTS: list[dict[str, Any]] = [
    {"session_id": "s", "type": "impression", "items": [{"product_code": "I1", "position": 1}, {"product_code": "I2"}]},
    {"session_id": "s", "type": "click", "items": [{"product_code": 1, "position": 3}], "recommendation_id": "4960"},
    {"session_id": "s", "type": "purchase", "items": [{"product_code": "I1", "quantity": "2"}], "extra": {"a": 1}},
    {"session_id": "s", "type": "rating", "items": [{"product_code": "I1", "rating": 4.5}], "event_id": "mine"},
]


def test_an_event_that_is_not_recommended_for_comes_back_as_it_was_with_its_id() -> None:
    service = Recommender()
    visits = [{**json.loads(GOOD), "type": "cart"}, {**json.loads(GOOD), "type": "browse", "recommendation_id": "r"}]
    answers = deliver(service, *(json.dumps(event).encode() for event in (*ACTS, *visits)))
    assert [result for result, _ in answers] == ["Ok"] * 6
    for number, (event, (_, record)) in enumerate(zip(ACTS, answers, strict=False)):
        brought = {"producer_event_id": event["event_id"]} if "event_id" in event else {}
        assert record == {**event, **brought, "event_id": f"496000000{number}"}
    for event, (_, record) in zip(visits, answers[len(ACTS) :], strict=True):
        assert {key: record[key] for key in event} == event
        assert record["recommended_items"]
    (call,) = service.calls
    assert len(json.loads(call)["requests"]) == len(visits)


def test_what_an_event_without_a_type_brings_under_the_new_names_is_nobodys_mistake() -> None:
    old = {**json.loads(GOOD), "items": "three", "recommendation_id": 7, "rating": None}
    ((result, record),) = deliver(Recommender(), json.dumps(old).encode())
    assert (result, {key: record[key] for key in old}) == ("Ok", old)


def test_what_a_producer_calls_its_event_is_kept_and_not_what_events_are_deduplicated_by() -> None:
    brought = json.dumps({**json.loads(GOOD), "event_id": "4960"}).encode()
    first, second = (record for _, record in deliver(Recommender(), brought, brought))
    assert (first["event_id"], second["event_id"]) == ("4960000000", "4960000001")
    assert first["producer_event_id"] == second["producer_event_id"] == "4960"


KINESIS_NUMBER = "49590338271490256608559692538361571095921575989136588898"


@pytest.mark.parametrize("event_id", [KINESIS_NUMBER, f"{KINESIS_NUMBER}:17", "000017640350000000000001", "digest-x"])
def test_a_replayed_event_keeps_its_id_and_its_bytes(event_id: str) -> None:
    data = b' {"session_id": "s", "browse_history": [], "n": 1.50}\xf0\x9f\x98\x80'[:-4]
    on_stream = replayed(data, event_id)
    assert original(on_stream) == (data, event_id)
    ((result, record),) = deliver(Recommender(), on_stream)
    assert (result, record["event_id"], record["session_id"]) == ("Ok", event_id, "s")


def test_what_a_replay_adds_fits_beside_the_largest_event_of_a_session_with_a_uuid() -> None:
    assert len(replayed(b"", KINESIS_NUMBER)) <= 41


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"replay " + rest))
def test_any_bytes_are_either_a_replayed_event_or_taken_as_they_are(data: bytes) -> None:
    content, event_id = original(data)
    assert content == data or (event_id and data.endswith(content))


def test_an_answer_never_passes_6_mb_and_what_does_not_fit_is_failed() -> None:
    service = Recommender(size=20_000)
    results = [result for result, _ in deliver(service, *[GOOD] * 400)]
    assert results.count("Ok") in range(200, 240)
    assert results == sorted(results), "the records that come first are answered first"
    assert len(service.calls) > 1, "an answer of inference over 6 MB is asked for in halves"


def test_a_batch_over_6_mb_is_asked_for_in_several_calls() -> None:
    large = json.dumps({**json.loads(GOOD), "note": "n" * 900_000}).encode()
    service = Recommender()
    results = [result for result, _ in deliver(service, *[large] * 8)]
    assert len(service.calls) == 2
    assert results.count("Ok") == 5, "each line is 1.2 MB in base64"


def test_an_inference_failure_is_retried_and_then_raised() -> None:
    service = Recommender()
    service.fail_next = [TimeoutError("slow"), ConnectionError("throttled")]
    assert deliver(service, GOOD)[0][0] == "Ok"
    assert len(service.calls) == 3
    service.fail_next = [TimeoutError("slow")] * 1000
    with pytest.raises(InferenceError, match="slow"):
        deliver(service, GOOD, seconds=6.0)


def test_missing_answers_are_no_answers() -> None:
    class Forgetful(Recommender):
        def run(self, event: Any) -> Any:
            answer = super().run(event)
            answer["responses"].pop()
            return answer

    with pytest.raises(InferenceError, match="1 are missing"):
        deliver(Forgetful(), GOOD, GOOD, seconds=5.5)


class Firehose:
    """boto3's Firehose client: takes lines, refusing the first ones of each call while `refusals` last."""

    def __init__(self, refusals: int = 0) -> None:
        self.lines: list[bytes] = []
        self.refusals = refusals

    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:
        assert len(Records) <= 500
        assert sum(len(record["Data"]) for record in Records) <= 4 * 1024 * 1024
        responses = []
        for record in Records:
            if self.refusals:
                self.refusals -= 1
                responses.append({"ErrorCode": "ServiceUnavailableException"})
            else:
                self.lines.append(record["Data"])
                responses.append({"RecordId": "r"})
        return {"RequestResponses": responses}


class Bucket:
    """boto3's S3 client: keeps objects, or refuses them."""

    def __init__(self, refuses: bool = False) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses = refuses

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        if self.refuses:
            raise TimeoutError("S3")
        self.objects[Key] = Body

    def kept(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.objects.values() for line in body.split(b"\n") if line]


def from_kinesis(
    firehose: Firehose,
    *data: bytes,
    seconds: float = 60,
    bucket: Bucket | None = None,
    service: LambdaService | None = None,
) -> Any:
    stream._client = InferenceClient("inference", LIMIT, service or Recommender())
    stream._writer = event_source.DeliveryStream("delivery", firehose)
    stream._bucket = event_source.FailureBucket("failures", bucket or Bucket())
    records = [
        {
            "eventID": f"shardId-000000000000:49{n:04}",
            "kinesis": {
                "sequenceNumber": f"49{n:04}",
                "data": base64.b64encode(content).decode(),
                "partitionKey": "p",
                "approximateArrivalTimestamp": 1_700_000_000.5,
            },
        }
        for n, content in enumerate(data)
    ]
    return stream.handler({"Records": records}, Context(seconds))


def test_as_an_event_source_it_puts_every_line_once_also_when_firehose_refuses_some() -> None:
    firehose = Firehose(refusals=7)
    assert from_kinesis(firehose, *[GOOD] * 1100) == {"batchItemFailures": []}
    ids = [json.loads(line)["event_id"] for line in firehose.lines]
    assert sorted(ids) == [f"49{n:04}" for n in range(1100)]


def test_as_an_event_source_it_keeps_what_can_never_succeed_and_holds_up_nobody() -> None:
    firehose, bucket = Firehose(), Bucket()
    too_large = json.dumps({**json.loads(GOOD), "note": "n" * 1_024_000}).encode()
    batch = [b"bad", GOOD, b'{"session_id": 1}', too_large, GOOD]
    for _ in range(2):  # also when Lambda sends the batch again
        assert from_kinesis(firehose, *batch, bucket=bucket) == {"batchItemFailures": []}
    assert [json.loads(line)["event_id"] for line in firehose.lines] == ["490001", "490004"] * 2
    assert [(line["errorCode"], line["sequenceNumber"], line["shardId"]) for line in bucket.kept()] == [
        ("not_json", "490000", "shardId-000000000000"),
        ("wrong_shape", "490002", "shardId-000000000000"),
        ("line_over_1000_kb", "490003", "shardId-000000000000"),
    ]
    assert [base64.b64decode(line["rawData"]) for line in bucket.kept()] == [b"bad", b'{"session_id": 1}', too_large]
    assert {line["arrivalTimestamp"] for line in bucket.kept()} == {1_700_000_000_500}
    (key,) = bucket.objects
    assert key == "processing-failed/2023/11/14/22/shardId-000000000000-490000.json"


def test_as_an_event_source_a_batch_whose_poison_cannot_be_kept_is_raised() -> None:
    firehose = Firehose()
    with pytest.raises(TimeoutError, match="S3"):
        from_kinesis(firehose, GOOD, b"bad", bucket=Bucket(refuses=True))
    assert not firehose.lines


def test_as_an_event_source_a_batch_that_firehose_never_takes_is_raised() -> None:
    with pytest.raises(event_source.DeliveryError, match="ServiceUnavailable"):
        from_kinesis(Firehose(refusals=10_000), GOOD, seconds=5.5)


def test_logs_hold_no_personal_data(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"session_id": "secret-session", "customer_number": 4711, "city": "Pasadena", "browse_history": []}
    for record in (json.dumps(event).encode(), json.dumps({**event, "browse_history": 1}).encode()):
        deliver(Recommender(), record)
    written = capsys.readouterr().out + "".join(str(vars(record)) for record in caplog.records)
    assert "wrong_shape" in written
    for personal in ("secret-session", "4711", "Pasadena"):
        assert personal not in written
