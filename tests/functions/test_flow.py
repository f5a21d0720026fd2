"""The three functions together, from a manifest to recommendation records, on real PostgreSQL and S3."""

import json
import re

import pytest

from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, LambdaService, act, deliver, ids, infer, load, request
from tests.functions.worlds import expected_user_vector, world

V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"


def test_events_become_recommendation_records(store: Store) -> None:
    shop = world(V1, out_of_stock=frozenset({"I3", "I4"}))
    shop.publish(store.s3, store.bucket)
    loaded = load(store.bucket, V1)
    assert loaded["active"] == V1
    assert (loaded["items"], loaded["users"]) == (60, 20)
    event = {
        "session_id": "s",
        "customer_number": 100,
        "city": "Nantes",
        "credit_limit": 59811,
        "extra": {"deep": [1, 2.50]},
        "browse_history": [
            {"product_code": "I7", "quantity": "1", "in_shopping_cart": False},
            {"product_code": "I1", "quantity": 2, "in_shopping_cart": True},
            {"product_code": "no such", "quantity": 2, "in_shopping_cart": True},
        ],
    }
    service = LambdaService()
    answers = deliver(service, json.dumps(event, indent=2).encode(), b"not json")
    assert [result for result, _ in answers] == ["Ok", "ProcessingFailed"]
    record = answers[0][1]
    assert {key: record[key] for key in event} == event
    assert record["model_version"] == V1
    assert record["event_id"] == "4960000000"
    assert record["strategy"] == "personalized"
    recent = dict.fromkeys(["I1", "I7", *shop.recent["100"]])
    vector = expected_user_vector([shop.vector(item) for item in recent], 59811, "Nantes")
    assert ids(record) == shop.best(vector, LIMIT, ["I7", "I1"])
    for item in record["recommended_items"]:
        assert item["score"] == pytest.approx(shop.scores(vector)[item["id"]], abs=1e-5)
    (similar,) = record["similar_items"]
    assert similar["product_code"] == "I1"
    nearest = shop.best(shop.vector("I1"), LIMIT, ["I7", "I1"])
    assert [item["id"] for item in similar["similar_items"]] == nearest
    assert len(service.calls) == 1


def test_the_strategy_says_what_an_answer_rests_on(store: Store) -> None:
    shop = world(V1)
    store.serve(shop)
    answer = infer(
        request("known", customer_number="100"),
        request("visitor", items=["I5", "no such"], customer_number=478),
        request("features", credit_limit="1000", city="Nantes"),
        request("nothing", items=["no such"], customer_number=478, credit_limit="much"),
        request("all seen", items=list(shop.item_ids), customer_number=478),
    )
    known, visitor, features, nothing, all_seen = answer["responses"]
    strategies = [response["strategy"] for response in answer["responses"]]
    assert strategies == ["personalized", "session", "personalized", "popular", "nothing"]
    assert all_seen["recommended_items"] == []
    assert ids(known) == shop.best(shop.user("100"), LIMIT)
    assert ids(visitor) == shop.best(shop.vector("I5"), LIMIT, ["I5"])
    assert [s["product_code"] for s in visitor["similar_items"]] == ["I5"]
    assert ids(features) == shop.best(expected_user_vector([], 1000, "Nantes"), LIMIT)
    assert ids(nothing) == ["I59", "I58", "I57", "I56", "I55"]
    assert nothing["similar_items"] == []


def test_similar_items_are_for_the_cart_else_for_the_latest_known_of_the_last_three_browsed(store: Store) -> None:
    store.serve(world(V1, out_of_stock=frozenset({"I3"})))
    answer = infer(
        request("cart", items=["I1"], cart=["I5", "no such"]),
        request("browsed", items=["I1", "I7", "no such"]),
        request("long ago", items=["I1", "none", "such", "here"]),
        request("nothing known", cart=["no such"]),
    )
    similar = [response["similar_items"] for response in answer["responses"]]
    assert [[entry["product_code"] for entry in entries] for entries in similar] == [["I5"], ["I7"], [], []]
    for entries, seen in zip(similar, [{"I1", "I5"}, {"I1", "I7"}, (), ()], strict=True):
        for entry in entries:
            assert not {item["id"] for item in entry["similar_items"]} & {"I3", *seen}


def test_the_models_metrics_are_those_of_the_documentation(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.serve(world(V1))
    capsys.readouterr()
    infer(request("known", customer_number="100"), {"id": "bad"})
    counted = set(re.findall(r'"Name":"(\w+)"', capsys.readouterr().out))
    assert counted == {"BatchSize", "InferenceMilliseconds", "AnswersPersonalized", "AnswersError"}


def test_without_a_user_tower_stored_vectors_serve(store: Store) -> None:
    shop = world(V1, tower=None, with_catalog=False, similarity="inner_product")
    store.serve(shop)
    answer = infer(
        request("known", items=["I1"], customer_number=101),
        request("visitor", items=["I1"], cart=["I2"], city="Nantes"),
        request("features", city="Nantes"),
    )
    known, visitor, features = answer["responses"]
    assert ids(known) == shop.best(shop.user("101"), LIMIT, ["I1"])
    assert known["recommended_items"][0]["score"] == pytest.approx(
        shop.scores(shop.user("101"))[ids(known)[0]], abs=1e-4
    )
    mean = (shop.vector("I1") + shop.vector("I2")) / 2
    assert ids(visitor) == shop.best(mean, LIMIT, ["I1", "I2"])
    assert features["strategy"] == "popular"
    assert len(features["recommended_items"]) == LIMIT


def test_a_warm_function_follows_the_pointer_and_its_rollback(store: Store) -> None:
    first, second = world(V1, seed=1), world(V2, seed=2)
    for shop in (first, second):
        shop.publish(store.s3, store.bucket)
    asked = request(customer_number=100)
    load(store.bucket, V1)
    seen = [infer(asked)]
    load(store.bucket, V2)
    seen.append(infer(asked))
    assert act("activate", version=V1) == {"active": V1, "loaded": [V1, V2], "pinned": []}
    seen.append(infer(asked))
    assert [answer["model_version"] for answer in seen] == [V1, V2, V1]
    for answer, shop in zip(seen, (first, second, first), strict=True):
        assert ids(answer["responses"][0]) == shop.best(shop.user("100"), LIMIT)
