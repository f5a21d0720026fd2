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
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient, InferenceError
from tests.functions.lambdas import GOOD, LIMIT, Context, Recommender, deliver, firehose_event

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


def test_logs_hold_no_personal_data(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"session_id": "secret-session", "customer_number": 4711, "city": "Pasadena", "browse_history": []}
    for record in (json.dumps(event).encode(), json.dumps({**event, "browse_history": 1}).encode()):
        deliver(Recommender(), record)
    written = capsys.readouterr().out + "".join(str(vars(record)) for record in caplog.records)
    assert "wrong_shape" in written
    for personal in ("secret-session", "4711", "Pasadena"):
        assert personal not in written
