"""Inference: whatever comes in a batch, its neighbours are answered, and the answer is JSON that every reader takes."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from contracts.events import EventType
from functions.model_inference import handler as inference
from functions.shared.serving.requests import CallError
from tests.functions.lambdas import LIMIT, Context, load, request
from tests.functions.worlds import DATASET, world
from tests.fuzz import TIMEOUT, for_a_while
from tests.fuzz.services import BUCKET, vector_store
from tests.fuzz.values import JSON, PLAIN, TEXTS

pytestmark = pytest.mark.timeout(TIMEOUT)

VERSION = "20261101T000000Z-000001"
KNOWN = st.one_of(st.sampled_from(["I1", "I2", " I3 ", 100, "100"]), PLAIN)
ITEM = st.one_of(JSON, st.fixed_dictionaries({"product_code": KNOWN}, optional={"in_shopping_cart": PLAIN}))
USER = st.fixed_dictionaries({}, optional=dict.fromkeys(("customer_number", *DATASET.event_features), JSON))
REQUEST = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"id": TEXTS, "user": USER, "items": st.lists(ITEM, max_size=5)},
        optional={"type": st.sampled_from(EventType) | JSON},
    ),
    st.fixed_dictionaries({"id": JSON, "user": JSON, "items": JSON}),
)
CALL = st.one_of(
    st.lists(REQUEST, max_size=6).map(lambda requests: {"limit": LIMIT, "requests": requests}),
    st.fixed_dictionaries({"limit": JSON, "requests": JSON}),
    JSON,
)
GOOD = request("good", items=["I1"], customer_number=100)


def test_whatever_a_batch_holds_its_neighbours_are_answered() -> None:
    with vector_store() as s3:
        world(VERSION).publish(s3, BUCKET)
        load(BUCKET, VERSION)
        assert for_a_while(CALL, check)


def check(call: Any) -> None:
    is_batch = isinstance(call, dict) and isinstance(call.get("requests"), list)
    if is_batch:
        call = {**call, "requests": [GOOD, *call["requests"], GOOD]}
    try:
        answer = inference.handler(call, Context(30))
    except CallError:
        # In Python 5.0 is 5; a limit must be a whole number.
        assert not is_batch or repr(call.get("limit")) != repr(LIMIT)
        return
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    responses = answer["responses"]
    assert len(responses) == len(call["requests"])
    for response in (responses[0], responses[-1]):
        assert response["id"] == "good"
        # Of the few items that purchases may name, some may be noted for this very customer.
        assert min(call["limit"], 50) <= len(response["recommended_items"]) <= min(call["limit"], 59)
