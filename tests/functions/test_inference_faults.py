"""Requests, vectors and scores that inference cannot use: each costs its own answer alone."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.artifacts import RECENT_ITEMS_INPUT, USER_VECTOR_OUTPUT
from contracts.columns import Column, Kind
from contracts.events import MAX_HISTORY, MAX_TAGS
from functions.model_inference import handler as inference
from functions.shared.serving.graph import ModelError
from functions.shared.serving.requests import RequestError, read_request
from functions.shared.serving.store import Store as Tables
from functions.shared.serving.tower import UserTower
from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, Context, infer, request
from tests.functions.worlds import DATASET, user_tower, world

V1 = "20261101T000000Z-000001"


def test_a_tower_whose_inputs_are_no_features_is_refused() -> None:
    less = replace(DATASET.users, columns=DATASET.users.columns[1:])
    changed = type(DATASET)(less, DATASET.items, DATASET.ratings, {}, DATASET.name)
    with pytest.raises(ModelError, match="city"):
        UserTower(user_tower(8), changed)


def test_poison_in_one_request_is_an_error_of_that_request(store: Store) -> None:
    store.serve(world(V1))
    poison: list[Any] = [
        None,
        {"id": "p"},
        {"id": "p", "user": [], "items": []},
        {"id": "p", "user": {}, "items": [None]},
        {"id": "p", "user": {}, "items": [{"product_code": {}}]},
        {"id": "p", "user": {"customer_number": {}}, "items": []},
    ]
    good = request("good", items=["I1"], customer_number=100)
    for response in infer(*[r for p in poison for r in (p, good)])["responses"][::2]:
        assert "error" in response
    odd = [
        request("odd", items=["\0", "\ud800", "x" * 100_000, '{"'], customer_number="\0"),
        request("odd", items=["I1"] * 300, customer_number=10**40, credit_limit=float("inf"), city=["Nantes"]),
        request("odd", city="\ud800", credit_limit="1e400", country=7, state=True),
    ]
    for response in infer(*odd, good)["responses"]:
        assert len(response["recommended_items"]) == LIMIT


@pytest.mark.parametrize(
    "event", [None, {}, {"limit": 0, "requests": []}, {"limit": True, "requests": []}, {"limit": 5}]
)
def test_a_call_that_is_none_is_refused(event: Any, store: Store) -> None:
    with pytest.raises(ValueError, match="expected"):
        inference.handler(event, Context())


@pytest.mark.parametrize("with_tower", [False, True])
def test_a_vector_without_a_length_costs_its_own_answer_alone(with_tower: bool, store: Store) -> None:
    """Two opposite items have no mean, and the square of a large number that is still a number does not fit a float32.

    Without a tower, pgvector's NaN made an answer that is no JSON.
    """
    shop = world(V1)
    items = shop.items.copy()
    items[1] = -items[0]
    shop = replace(shop, items=items, tower=shop.tower if with_tower else None)
    store.serve(shop)
    asked = [request(str(n), items=["I5", "I6"]) for n in range(40)]
    opposite = [request("opposite", items=["I0", "I1"]), request("far", items=["I5"], credit_limit=9e29)]
    responses = infer(*asked[:20], *opposite, *asked[20:])["responses"]
    assert all(len(response["recommended_items"]) == LIMIT for response in responses)
    by_id = {response["id"]: response["strategy"] for response in responses}
    assert by_id.pop("opposite") == "popular"
    assert by_id.pop("far") == ("popular" if with_tower else "session")
    assert set(by_id.values()) == {"session"}


def test_a_score_that_is_not_finite_costs_its_own_record_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.serve(world(V1))
    nearest = Tables.nearest

    def spoilt(self: Tables, *given: Any) -> Any:
        answers = nearest(self, *given)
        answers[1] = [found._replace(score=float("nan")) for found in answers[1]]
        return answers

    monkeypatch.setattr(Tables, "nearest", spoilt)
    responses = infer(*[request(str(n), items=["I1"]) for n in range(3)])["responses"]
    assert ["error" in response for response in responses] == [False, True, False]


def test_half_a_character_in_an_id_costs_its_own_request_alone(store: Store) -> None:
    store.serve(world(V1))
    bad: list[Any] = ["\ud800", {"a": "\ud800"}, ["\udfff"], float("nan")]
    responses = infer(*[request(id_) for id_ in bad], request("good"))["responses"]
    assert [response["id"] for response in responses] == [None] * len(bad) + ["good"]
    assert ["error" in response for response in responses] == [True] * len(bad) + [False]


def test_an_answer_without_items_is_not_counted_as_one(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    shop = world(V1, n_items=3, recent={})
    store.serve(shop)
    capsys.readouterr()
    assert infer(request(items=shop.item_ids))["responses"][0]["recommended_items"] == []
    out = capsys.readouterr().out
    assert '"AnswersEmpty":[1.0]' in out
    assert "AnswersSession" not in out


def test_large_events_take_memory_that_does_not_grow_with_them(store: Store) -> None:
    """Issue 13: tags of 100 kB in a batch of 200 took 3.4 GB."""
    tagged = replace(DATASET.users, columns=(Column("tags", Kind.TAGS, "|"),))
    dataset = replace(DATASET, users=tagged, event_features={"tags": "tags"})
    tower = UserTower(tags_tower(), dataset)
    history = np.zeros((1, 2), np.float32)
    event = {"tags": [f"tag {n}" for n in range(50_000)]}
    tracemalloc.start()
    vectors = tower.vectors([event] * 200, [history] * 200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert vectors[:, 0].tolist() == [MAX_TAGS] * 200
    assert peak < 20 * 2**20
    with pytest.raises(RequestError, match="at most 1000"):
        read_request(request(items=["I1"] * (MAX_HISTORY + 1)))


def tags_tower() -> bytes:
    """A tower whose vector holds the number of tags."""
    made = helper.make_tensor_value_info
    inputs = [
        made("tags", TensorProto.STRING, ["batch", "n_tags"]),
        made(RECENT_ITEMS_INPUT, TensorProto.FLOAT, ["batch", "n", 2]),
    ]
    nodes = [
        helper.make_node("Equal", ["tags", "nothing"], ["is_padding"]),
        helper.make_node("Not", ["is_padding"], ["is_tag"]),
        helper.make_node("Cast", ["is_tag"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axis_1"], ["number"], keepdims=1),
        helper.make_node("Concat", ["number", "number"], [USER_VECTOR_OUTPUT], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([""], dtype=object), "nothing"),
        numpy_helper.from_array(np.array([1], np.int64), "axis_1"),
    ]
    output = made(USER_VECTOR_OUTPUT, TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "tags_tower", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content
