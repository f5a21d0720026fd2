"""Events that are made of a shop, and events that are read from a file."""

import json
from pathlib import Path

import pytest

from contracts import dataset_file
from contracts.events import partition_key
from emulator.errors import LocalRunError
from emulator.program import ROOT
from local.events import Event, make_events, put_events, read_events
from local.shop import Customer, Shop
from tests.emulator.aws import Aws

SPEC = dataset_file.load(ROOT / "dataset.toml")
SHOP = Shop(
    tuple(Customer(number, {"city": "Nantes", "creditLimit": 21000}, ("S1", "S2", "S3")) for number in range(100, 140)),
    {f"S{number}": f"Product {number}" for number in range(1, 9)},
)


def test_made_events_cover_what_a_stream_brings() -> None:
    events = make_events(SHOP, SPEC, 400)
    history = [item for event in events for item in event["browse_history"]]
    assert len({event["session_id"] for event in events}) == 400
    assert {event["customer_number"] in range(100, 140) for event in events} == {True, False}
    assert any(not event["browse_history"] for event in events)
    assert {event.get("type") for event in events} == {None, "browse", "cart"}
    assert {item["product_code"] in SHOP.item_names for item in history} == {True, False}
    assert {type(item["quantity"]) for item in history} == {str, int}
    assert {item["in_shopping_cart"] for item in history} == {True, False}
    assert {event["credit_limit"] for event in events} == {21000}


def test_the_same_seed_makes_the_same_events() -> None:
    assert make_events(SHOP, SPEC, 20, seed=3) == make_events(SHOP, SPEC, 20, seed=3)
    assert make_events(SHOP, SPEC, 20, seed=3) != make_events(SHOP, SPEC, 20, seed=4)


ONE, TWO = '{"session_id": "a", "browse_history": []}', '{"session_id": "b", "browse_history": [{"product_code": 7}]}'
ENDS = '{"session_id": "\u2028", "browse_history": []}\n{"session_id": "\u2029 \x85", "browse_history": []}\r\n'
"""Line ends to Python, and text to JSON."""


@pytest.mark.parametrize(("text", "n"), [(ONE, 1), (f"[{ONE}, {TWO}]", 2), (f"{ONE}\n\n{TWO}\n", 2), (ENDS, 2)])
def test_an_event_a_list_and_a_line_each_are_read(tmp_path: Path, text: str, n: int) -> None:
    (tmp_path / "events.json").write_text(text)
    assert len(read_events(tmp_path / "events.json")) == n


@pytest.mark.parametrize("text", ["", "[]", "[1]", '{"a": 1}\nnot json', json.dumps("text"), "\udcff"])
def test_a_file_without_events_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "events.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(LocalRunError, match=r"events\.json: expected"):
        read_events(path)


@pytest.mark.parametrize(
    ("event", "mistake"),
    [
        ({}, "session_id: expected text, found nothing"),
        ({"session_id": 1}, "session_id: expected text, found 1"),
        ({"session_id": "a"}, "browse_history: expected a list of at most 1000 entries, found nothing"),
        ({"customer_number": 1.5}, "customer_number: expected text or a whole number or null, found 1.5"),
        ({"browse_history": ["S1"]}, r'browse_history\[0\]: expected an object, found "S1"'),
        ({"browse_history": [{}]}, r"browse_history\[0\].product_code: expected text or a whole number"),
        ({"browse_history": [{"product_code": "S1", "in_shopping_cart": "yes"}]}, "in_shopping_cart: expected true"),
        ({"session_id": "a", "type": "buy"}, "type: expected one of browse, cart, impression"),
        ({"session_id": "a", "type": "purchase"}, "items: expected a list of 1 to 1000 entries, found nothing"),
    ],
)
def test_an_event_that_the_stream_would_refuse_is_told_by_its_number_and_key(
    tmp_path: Path, event: Event, mistake: str
) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([json.loads(ONE), event]))
    with pytest.raises(LocalRunError, match=f"event 2: (.|\n)*{mistake}"):
        read_events(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LocalRunError, match=r"nothing\.json: cannot be read"):
        read_events(tmp_path / "nothing.json")


@pytest.mark.parametrize("session", ["", "s" * 300, "\ud800", None, 7, "line\nend", ["a list"]])
def test_whatever_the_session_is_the_event_gets_onto_the_stream(aws: Aws, session: object) -> None:
    events: list[dict[str, object]] = [{"session_id": session, "n": 1}, {"session_id": "good"}, {}]
    numbers = put_events(aws.client("kinesis"), aws.stream().rsplit("/", 1)[-1], events)
    assert len(set(numbers)) == 3


def test_a_sessions_events_share_a_key_whatever_the_session_is() -> None:
    for session in ("s", "", "s" * 300, "\ud800"):
        assert partition_key(session, "1") == partition_key(session, "2")
        assert 0 < len(partition_key(session, "1").encode()) <= 256
