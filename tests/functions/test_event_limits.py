"""The limits of an event: at the limit it counts, beyond it what the documentation says becomes of it."""

import json
import re
from typing import Any

import pytest

from contracts import events, features
from emulator.program import ROOT
from functions.shared.serving.requests import read_request
from tests.functions.lambdas import request
from tests.functions.test_event_source_records import Bucket, Firehose, from_kinesis


def reason_of(event: dict[str, Any]) -> str | None:
    """Returns the reason for which the stream transformation keeps the event; None if it recommends."""
    firehose, bucket = Firehose(), Bucket()
    from_kinesis(firehose, json.dumps(event).encode(), bucket=bucket)
    kept = [document["errorCode"] for document in bucket.kept()]
    assert len(kept) + len(firehose.lines) == 1
    return kept[0] if kept else None


@pytest.mark.parametrize(("beyond", "reason"), [(0, None), (1, "history_too_long")])
def test_a_history_beyond_its_limit_is_refused(beyond: int, reason: str | None) -> None:
    history = [{"product_code": "I1"}] * (events.MAX_HISTORY + beyond)
    assert reason_of({"session_id": "s", "browse_history": history}) == reason


@pytest.mark.parametrize(("beyond", "reason"), [(0, None), (1, "wrong_shape")])
def test_items_beyond_their_limit_are_refused(beyond: int, reason: str | None) -> None:
    items = [{"product_code": "I1"}] * (events.MAX_HISTORY + beyond)
    assert reason_of({"session_id": "s", "type": "impression", "items": items}) == reason


@pytest.mark.parametrize("beyond", [0, 1])
def test_an_id_beyond_its_limit_is_nobodys(beyond: int) -> None:
    id_ = "é" * (events.MAX_ID_CHARACTERS + beyond)
    asked = read_request(request(items=[id_], customer_number=id_))
    assert (asked.customer, asked.browsed) == ((None, ()) if beyond else (id_, (id_,)))
    event = {"session_id": "s", "customer_number": id_, "browse_history": [{"product_code": id_}]}
    assert reason_of(event) is None


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_text_beyond_its_limit_is_missing(beyond: int) -> None:
    value = "x" * (events.MAX_TEXT_CHARACTERS + beyond)
    assert features.text(value) == ("" if beyond else value)


@pytest.mark.parametrize("beyond", [0, 1])
def test_of_several_values_the_first_count_and_a_text_of_them_beyond_its_limit_is_missing(beyond: int) -> None:
    values = [f"t{n}" for n in range(events.MAX_TAGS + beyond)]
    assert features.tags(values, "|") == tuple(values[: events.MAX_TAGS])
    text = "a|".ljust(events.MAX_TAGS_CHARACTERS + beyond, "|")
    assert features.tags(text, "|") == (() if beyond else ("a",))


def test_the_documented_limits_are_those_in_force() -> None:
    page = (ROOT / "docs" / "streaming.md").read_text()
    table = page.partition("## Limits of an event")[2].partition("\n## ")[0]
    documented = {
        int(number.replace(",", "")) for number in re.findall(r"\b[0-9][0-9,]*\b(?= (?:values|characters)| \|)", table)
    }
    assert documented == {
        events.MAX_HISTORY,
        events.MAX_ID_CHARACTERS,
        events.MAX_TEXT_CHARACTERS,
        events.MAX_TAGS,
        events.MAX_TAGS_CHARACTERS,
    }
