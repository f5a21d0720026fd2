"""The rule that a customer is not recommended again what was bought within some days, with a real pgvector."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.dataset import Exclude, Serving
from contracts.rules import RULES_FILE
from functions.recommendation_api import handler as api
from functions.shared.serving import rules_file
from tests.functions.conftest import Store
from tests.functions.http import Answered, call
from tests.functions.lambdas import LIMIT, LambdaService, deliver, ids, infer, request
from tests.functions.test_purchase_events import V1, V2, age, event, noted, publish
from tests.functions.worlds import world

NAME = "not within a month"


@pytest.fixture(autouse=True)
def state(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rules_file, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(rules_file, "AWAY_SECONDS", 0.0)
    yield
    store.s3.delete_object(Bucket=store.bucket, Key=RULES_FILE)


def put(store: Store, *days: int) -> None:
    rules = [{"name": f"{NAME} {n}" if n else NAME, "action": "not_again", "days": each} for n, each in enumerate(days)]
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=json.dumps({"rules": rules}).encode())


def get(path: str = "/v1/recommendations", **query: Any) -> Answered:
    return call(api.handler, "GET", path, [*query.items(), ("limit", LIMIT)])


def streamed() -> list[str]:
    return ids(infer(request(customer_number=100))["responses"][0])


@pytest.mark.parametrize(
    ("serving", "rule", "last_day"),
    [
        # (bought, rated): the last of 10, 40 and 70 days after which the item is still left out; 0: never.
        (Serving(Exclude.NONE), 30, (10, 0)),
        (Serving(Exclude.BOUGHT, 20), 60, (40, 0)),
        (Serving(Exclude.BOUGHT, 60), 30, (40, 0)),
        (Serving(Exclude.BOUGHT), 30, (70, 0)),
        (Serving(Exclude.RATED, 20), 60, (40, 10)),
        (Serving(Exclude.RATED, 60), 30, (40, 40)),
        (Serving(Exclude.RATED), 30, (70, 70)),
    ],
)
def test_what_was_bought_comes_back_after_the_rules_days_or_the_datasets_whichever_are_more(
    serving: Serving, rule: int, last_day: tuple[int, int], store: Store
) -> None:
    shop = world(V1)
    publish(store, shop, serving)
    put(store, rule, 1)
    items = shop.best(shop.user("100"), 2)
    deliver(LambdaService(), event("purchase", items[0]), event("rating", items[1]))
    for passed, day in ((10, 10), (30, 40), (30, 70)):
        age(store, passed)
        left_out = [item for item, last in zip(items, last_day, strict=True) if day <= last]
        expected = shop.best(shop.user("100"), LIMIT, left_out)
        assert streamed() == expected, f"after {day} days"
        assert get(customer=100).ids == expected, f"after {day} days"


def test_the_rule_is_in_force_with_the_next_answer_and_named_where_it_applies(store: Store) -> None:
    shop = world(V1)
    publish(store, shop, Serving(Exclude.NONE))
    bought, before, after = shop.best(shop.user("100"), 3)
    deliver(LambdaService(), event("purchase", before))
    assert noted(store) == {}, "without a rule, nothing is kept that nothing leaves out"
    put(store, 30)
    deliver(LambdaService(), event("purchase", bought), event("purchase", after))
    left = shop.best(shop.user("100"), LIMIT, [bought, after])
    assert streamed() == left
    answered = get(customer=100, explain="true")
    assert (answered.ids, answered.json["explain"]["rules"]) == (left, [NAME])
    assert get(customer=101, explain="true").ids == shop.best(shop.user("101"), LIMIT)
    for path, query in (("/v1/recommendations", {"items": bought}), ("/v1/popular", {}), ("/v1/items/I1/similar", {})):
        assert get(path, explain="true", **query).json["explain"]["rules"] == [], "nobody's purchases are known"
    with store.away():
        assert get(customer=100, explain="true").json["explain"]["rules"] == []
    put(store)
    assert streamed() == shop.best(shop.user("100"), LIMIT)


def test_a_load_keeps_what_the_rule_leaves_out_and_all_while_the_rules_cannot_be_read(store: Store) -> None:
    publish(store, world(V1), Serving(Exclude.RATED, 20))
    put(store, 60)
    deliver(LambdaService(), event("purchase", "I1"), event("rating", "I2", customer="101"))
    age(store, 40)
    publish(store, world(V2), Serving(Exclude.RATED, 20))
    assert noted(store).keys() == {"100", "101"}, "the rule needs them"
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=b"{")
    publish(store, world("20261103T000000Z-000003"), Serving(Exclude.RATED, 20))
    assert noted(store).keys() == {"100", "101"}, "nobody knows what the rules say"
    put(store, 30)
    publish(store, world("20261104T000000Z-000004"), Serving(Exclude.RATED, 20))
    assert noted(store) == {}


def test_a_rule_of_longer_days_costs_no_statement_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.shared.serving.store import Store as Tables

    asked: list[str] = []
    rows = Tables._rows

    def counted(tables: Tables, template: str, *more: Any, **named: Any) -> Any:
        asked.append(template)
        return rows(tables, template, *more, **named)

    monkeypatch.setattr(Tables, "_rows", counted)
    publish(store, world(V1), Serving(Exclude.RATED, 20))
    counts = []
    for days in ((), (60,)):
        put(store, *days)
        asked.clear()
        streamed()
        counts.append(len(asked))
    assert counts[0] == counts[1] > 0
