"""The API's way in for events: each is answered for by itself, and what is taken can be processed by the stream."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import MAX_HISTORY, MAX_PUT_BYTES, MAX_PUT_RECORDS, MAX_RECORD_BYTES, EventType
from functions.event_intake import handler as module
from functions.event_intake.intake import Intake
from functions.stream_transformation.records import Record
from tests.functions.http import Answered, call
from tests.fuzz.values import JSON, NUMBERS, TEXTS

GOOD = {"session_id": "s", "browse_history": [{"product_code": "S10_1678", "quantity": "1"}], "extra": [1, 2.50]}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Kinesis:
    """boto3's client as far as the intake calls it, with Kinesis' limits. `refuse` says which tries it throttles."""

    def __init__(self, refuse: Callable[[int], bool] = lambda number: False) -> None:
        self.refuse = refuse
        self.tried = 0
        self.taken: list[dict[str, Any]] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        assert StreamName == "events"
        assert len(Records) <= 500
        assert sum(len(record["Data"]) + len(record["PartitionKey"].encode()) for record in Records) <= 5 * 1024 * 1024
        results: list[dict[str, Any]] = []
        for record in Records:
            assert 1 <= len(record["PartitionKey"]) <= 256
            self.tried += 1
            if self.refuse(self.tried):
                results.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.taken.append(record)
                results.append({"SequenceNumber": str(len(self.taken)), "ShardId": "shardId-0"})
        return {"FailedRecordCount": sum("ErrorCode" in result for result in results), "Records": results}


@pytest.fixture
def kinesis(monkeypatch: pytest.MonkeyPatch) -> Kinesis:
    client = Kinesis()
    monkeypatch.setattr(module, "_intake", Intake("events", client))
    return client


def post(body: Any, **changes: Any) -> Answered:
    return call(module.handler, "POST", "/v1/events", body=body, **changes)


def test_events_go_on_the_stream_as_they_came_and_are_answered_in_order(kinesis: Kinesis) -> None:
    text = '{"session_id": "s",\n "browse_history": [], "price": 2.50}'
    answered = post(f'{{"events": [{text}, {{"session_id": 7}}, {json.dumps(GOOD)}]}}')
    assert answered.status == 200
    first, wrong, last = answered.json["results"]
    assert (first, last) == ({"status": 202, "event_id": "1"}, {"status": 202, "event_id": "2"})
    assert [record["Data"] for record in kinesis.taken] == [text.encode(), json.dumps(GOOD).encode()]
    assert {record["PartitionKey"] for record in kinesis.taken} == {"s"}
    assert wrong["status"] == 400
    history = {"field": "events[1].browse_history", "expected": f"a list of at most {MAX_HISTORY} entries"}
    assert wrong["problem"]["errors"] == [
        {"field": "events[1].session_id", "expected": "text", "found": "7"},
        {**history, "found": "nothing"},
    ]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("text", "events[0]"),
        (None, "events[0]"),
        ({**GOOD, "browse_history": [{}]}, "events[0].browse_history[0].product_code"),
        ({**GOOD, "browse_history": [{"product_code": True}]}, "events[0].browse_history[0].product_code"),
        ({**GOOD, "browse_history": [{"product_code": "a", "in_shopping_cart": 1}]},
         "events[0].browse_history[0].in_shopping_cart"),
        ({**GOOD, "browse_history": [{"product_code": "a"}] * (MAX_HISTORY + 1)}, "events[0].browse_history"),
        ({**GOOD, "customer_number": 1.5}, "events[0].customer_number"),
        ({**GOOD, "type": "buy"}, "events[0].type"),
        ({**GOOD, "type": None}, "events[0].type"),
        ({**GOOD, "type": "purchase"}, "events[0].items"),
        ({"session_id": "s", "type": "cart", "items": [{"product_code": "a"}]}, "events[0].browse_history"),
        ({"session_id": "s", "type": "click", "items": []}, "events[0].items"),
        ({"session_id": "s", "type": "click", "items": [{"product_code": "a", "position": 0}]},
         "events[0].items[0].position"),
        ({"session_id": "s", "type": "rating", "items": [{"product_code": "a"}]}, "events[0].items[0].rating"),
        ({**GOOD, "type": "browse", "recommendation_id": 7}, "events[0].recommendation_id"),
        ({**GOOD, "filler": "x" * MAX_RECORD_BYTES}, "events[0]"),
        ({**GOOD, "deep": nested(300)}, "events[0]"),
        ({**GOOD, "browse_history": [{"product_code": nested(300)}]}, "events[0]"),
    ],
)  # fmt: skip
def test_an_event_that_the_stream_cannot_process_is_refused_alone(kinesis: Kinesis, event: Any, field: str) -> None:
    wrong, good = post({"events": [event, GOOD]}).json["results"]
    assert (wrong["status"], wrong["problem"]["errors"][0]["field"], good["status"]) == (400, field, 202)
    assert len(kinesis.taken) == 1


def test_what_kinesis_refuses_is_put_again_and_nothing_twice(kinesis: Kinesis) -> None:
    kinesis.refuse = lambda number: number % 3 == 0
    sent = [{**GOOD, "session_id": f"s{number}"} for number in range(MAX_PUT_RECORDS)]
    results = post({"events": sent}).json["results"]
    assert [result["status"] for result in results] == [202] * MAX_PUT_RECORDS
    taken = {str(number): json.loads(record["Data"]) for number, record in enumerate(kinesis.taken, 1)}
    assert [taken[result["event_id"]] for result in results] == sent
    assert len(kinesis.taken) == MAX_PUT_RECORDS


def test_a_busy_stream_costs_the_events_that_it_did_not_take(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUT_SECONDS", 0.3)
    kinesis.refuse = lambda number: number > 1
    first, second = post({"events": [GOOD, GOOD]}).json["results"]
    assert (first["status"], second["status"]) == (202, 503)
    kinesis.refuse = lambda number: True
    answered = post({"events": [GOOD, {}]})
    assert (answered.status, answered.headers["retry-after"]) == (503, "5")
    assert post({"events": [{}]}).status == 200, "nothing was put, and nothing could have been"


def test_a_body_over_one_call_of_kinesis_is_put_in_several(kinesis: Kinesis) -> None:
    large = {**GOOD, "filler": "x" * (MAX_RECORD_BYTES - 1000)}
    assert 6 * (MAX_RECORD_BYTES - 1000) > MAX_PUT_BYTES
    results = post({"events": [large] * 6}).json["results"]
    assert [result["status"] for result in results] == [202] * 6


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": []}, "events"),
        ({"events": [GOOD] * 501}, "events"),
        ({}, "events"),
        ({"events": [GOOD], "more": 1}, "more"),
        ([GOOD], "body"),
        (nested(300), "body"),
        ("{", "body"),
    ],
)
def test_a_body_that_is_no_list_of_events_is_refused_whole(kinesis: Kinesis, body: Any, field: str) -> None:
    answered = post(body)
    assert (answered.status, answered.json["errors"][0]["field"], kinesis.taken) == (400, field, [])


ENTRY = st.fixed_dictionaries(
    {"product_code": TEXTS | NUMBERS}, optional={"quantity": JSON, "in_shopping_cart": JSON, "more": JSON}
)
ITEM = st.fixed_dictionaries(
    {"product_code": TEXTS | NUMBERS}, optional={"position": NUMBERS | JSON, "quantity": JSON, "rating": NUMBERS | JSON}
)
EVENT = JSON | st.fixed_dictionaries(
    {"session_id": TEXTS, "browse_history": st.lists(ENTRY, max_size=3)},
    optional={
        "type": st.sampled_from(EventType) | JSON,
        "items": st.lists(ITEM, max_size=3) | JSON,
        "recommendation_id": TEXTS | JSON,
        "customer_number": JSON,
        "event_id": JSON,
        "": JSON,
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=4), st.booleans())
def test_whatever_is_taken_the_stream_can_process_and_its_neighbours_are_taken(
    kinesis: Kinesis, events: list[Any], ascii_only: bool
) -> None:
    kinesis.taken.clear()
    body = json.dumps({"events": [GOOD, *events, GOOD]}, ensure_ascii=ascii_only)
    answered = post(body.encode("utf-8", "replace").decode())
    if answered.status == 400:  # half a surrogate pair, or a number that JSON does not have
        assert any(bad in body for bad in ("\\ud800", "\ud800", "NaN", "Infinity"))
        return
    results = answered.json["results"]
    assert results[0]["status"] == results[-1]["status"] == 202
    assert sum(result["status"] == 202 for result in results) == len(kinesis.taken)
    for record in kinesis.taken:
        Record(record["Data"], "1")
