"""An item that a customer buys or rates is left out of the next answer, seconds later and without training."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from psycopg import sql

from contracts.artifacts import MAX_EXCLUDED_ITEMS
from contracts.dataset import Exclude, Serving
from contracts.events import EventType
from functions.model_inference import handler as inference
from functions.recommendation_api import handler as api
from functions.shared.database import connect
from functions.shared.serving import exclusions
from functions.shared.serving.requests import Act
from functions.shared.serving.store import DEFAULT_SERVING
from functions.stream_transformation.inference import InferenceError
from tests.functions.conftest import Store
from tests.functions.http import call
from tests.functions.lambdas import LIMIT, LambdaService, act, deliver, ids, infer, load, request
from tests.functions.test_event_source_records import Firehose, from_kinesis
from tests.functions.worlds import DATASET, World, world

POLICY = exclusions.Policy(Serving())
V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"


def event(type_: str, *items: str, customer: Any = 100, **more: Any) -> bytes:
    entries = [{"product_code": item, "rating": 4} for item in items]
    return json.dumps(
        {"session_id": "s", "type": type_, "customer_number": customer, "items": entries, **more}
    ).encode()


def browse(customer: Any = 100) -> bytes:
    return json.dumps({"session_id": "s", "customer_number": customer, "browse_history": []}).encode()


def publish(store: Store, shop: World, serving: Serving = DEFAULT_SERVING) -> None:
    """Publishes and loads a version of a shop that has purchases with their time, so that every policy is allowed."""
    ratings = replace(DATASET.ratings, rating=None, scale=(1, 1), liked=1, time="boughtAt")
    dataset = replace(DATASET, ratings=ratings, serving=serving).to_dict()
    shop.publish(store.s3, store.bucket, replace(shop.manifest(), dataset=dataset))
    assert load(store.bucket, shop.version)["active"] == shop.version


def noted(store: Store) -> dict[str, tuple[set[str], set[str]]]:
    """Customer → items that were bought, and items that were rated only."""
    rows = store.connection.execute("SELECT customer, bought, bought_or_rated FROM recommender.customer_items")
    return {customer: (set(bought), set(all_) - set(bought)) for customer, bought, all_ in rows.fetchall()}


def age(store: Store, days: float) -> None:
    """Lets days pass since everything that is noted."""
    older = "(SELECT coalesce(jsonb_object_agg(key, value::bigint - {days}), '{{}}') FROM jsonb_each({column}))"
    change = {
        column: sql.SQL(older).format(column=sql.SQL(column), days=sql.Literal(round(days * 86_400)))
        for column in ("bought", "bought_or_rated")
    }
    store.connection.execute(
        sql.SQL("UPDATE recommender.customer_items SET bought = {bought}, bought_or_rated = {bought_or_rated}").format(
            **change
        )
    )


@pytest.mark.parametrize("type_", ["purchase", "rating"])
def test_what_was_bought_or_rated_leaves_the_customers_next_answers_and_nobody_elses(type_: str, store: Store) -> None:
    shop = world(V1)
    publish(store, shop)
    service = LambdaService()
    before = shop.best(shop.user("100"), LIMIT)
    bought, also = before[:2]
    (first, (result, record), after, other) = deliver(
        service, browse(), event(type_, bought, "not in the catalogue"), browse(), browse("101")
    )
    # A purchase is noted before the answers of its batch are computed.
    expected = shop.best(shop.user("100"), LIMIT, [bought])
    assert (result, "recommended_items" in record) == ("Ok", False)
    assert ids(first[1]) == ids(after[1]) == expected
    assert ids(other[1]) == shop.best(shop.user("101"), LIMIT)
    assert len(service.calls) == 1
    deliver(service, event(type_, also, customer="100"))
    left = shop.best(shop.user("100"), LIMIT, [bought, also])
    assert ids(deliver(service, browse())[0][1]) == left
    answered = call(api.handler, "GET", "/v1/recommendations", [("customer", "100"), ("limit", str(LIMIT))])
    assert answered.ids == left


def test_as_an_event_source_a_purchase_does_the_same_and_a_second_delivery_changes_nothing(store: Store) -> None:
    shop = world(V1)
    publish(store, shop)
    bought = shop.best(shop.user("100"), 1)[0]
    firehose = Firehose()
    for _ in range(2):
        from_kinesis(firehose, event("purchase", bought), event("click", "I1"), browse(), service=LambdaService())
    lines = [json.loads(line) for line in firehose.lines]
    assert [line.get("type", "browse") for line in lines] == ["purchase", "click", "browse"] * 2
    assert ids(lines[2]) == ids(lines[5]) == shop.best(shop.user("100"), LIMIT, [bought])
    assert noted(store) == {"100": ({bought}, set())}


def test_a_purchase_outlives_a_new_version_and_a_rollback(store: Store) -> None:
    first, second = world(V1, seed=1), world(V2, seed=2)
    publish(store, first)
    bought = first.best(first.user("100"), 1)[0]
    alike = first.best(first.vector("I5"), 1, ["I5"])[0]
    deliver(LambdaService(), event("purchase", bought), event("purchase", alike, customer="nobody's"))
    (unknown,) = infer(request(items=["I5"], customer_number="nobody's"))["responses"]
    assert ids(unknown) == first.best(first.vector("I5"), LIMIT, ["I5", alike])
    publish(store, second)
    answers = [infer(request(customer_number=100))]
    act("activate", version=V1)
    answers.append(infer(request(customer_number=100)))
    for answer, shop in zip(answers, (second, first), strict=True):
        assert ids(answer["responses"][0]) == shop.best(shop.user("100"), LIMIT, [bought])


@pytest.mark.parametrize(
    ("serving", "left_out"),
    [
        (Serving(Exclude.RATED), {"bought", "rated"}),
        (Serving(Exclude.BOUGHT), {"bought"}),
        (Serving(Exclude.NONE), set()),
        (Serving(Exclude.RATED, 30), {"bought", "rated"}),
        (Serving(Exclude.BOUGHT, 30), {"bought"}),
    ],
)
def test_what_is_left_out_is_what_the_versions_dataset_says_and_after_its_days_it_comes_back(
    serving: Serving, left_out: set[str], store: Store
) -> None:
    shop = world(V1)
    publish(store, shop, serving)
    items = dict(zip(("bought", "rated"), shop.best(shop.user("100"), 2), strict=True))
    hidden = [items[kind] for kind in left_out]
    deliver(LambdaService(), event("purchase", items["bought"]), event("rating", items["rated"]))
    asked = request(customer_number=100)
    assert ids(infer(asked)["responses"][0]) == shop.best(shop.user("100"), LIMIT, hidden)
    assert noted(store).keys() == ({"100"} if hidden else set()), "what is not needed is not kept"
    age(store, 29)
    assert ids(infer(asked)["responses"][0]) == shop.best(shop.user("100"), LIMIT, hidden)
    age(store, 2)
    back = [] if serving.exclude_days else hidden
    assert ids(infer(asked)["responses"][0]) == shop.best(shop.user("100"), LIMIT, back)


def test_a_load_forgets_what_no_version_leaves_out_any_longer(store: Store) -> None:
    publish(store, world(V1), Serving(Exclude.RATED, 30))
    deliver(LambdaService(), event("purchase", "I1"), event("rating", "I2", customer="101"))
    age(store, 31)
    deliver(LambdaService(), event("rating", "I3"))
    publish(store, world(V2), Serving(Exclude.RATED, 60))
    assert noted(store).keys() == {"100", "101"}, "the second version needs them"
    age(store, 30)
    publish(store, world("20261103T000000Z-000003"), Serving(Exclude.NONE))
    assert noted(store) == {"100": (set(), {"I3"})}


def test_of_too_many_purchases_the_latest_are_kept_and_the_list_is_full(store: Store) -> None:
    shop = world(V1)
    publish(store, shop)
    bought = shop.best(shop.user("100"), 20)
    acts = [Act(EventType.PURCHASE, "100", tuple(f"gone {n}" for n in range(MAX_EXCLUDED_ITEMS)))]
    exclusions.note(store.connection, acts, POLICY)
    age(store, 1)
    deliver(LambdaService(), event("purchase", *bought))
    kept, _ = noted(store)["100"]
    assert len(kept) == MAX_EXCLUDED_ITEMS
    assert kept >= set(bought)
    assert ids(infer(request(customer_number=100))["responses"][0]) == shop.best(shop.user("100"), LIMIT, bought)


def test_a_purchase_that_the_database_does_not_take_is_raised_and_noted_when_it_comes_again(store: Store) -> None:
    publish(store, world(V1))
    store.connection.execute("ALTER TABLE recommender.customer_items ADD CONSTRAINT full_disk CHECK (false)")
    with pytest.raises(InferenceError, match="full_disk"):
        deliver(LambdaService(), browse(), event("purchase", "I1"), seconds=6)
    store.connection.execute("ALTER TABLE recommender.customer_items DROP CONSTRAINT full_disk")
    assert [result for result, _ in deliver(LambdaService(), browse(), event("purchase", "I1"))] == ["Ok", "Ok"]
    assert noted(store) == {"100": ({"I1"}, set())}


def test_a_database_that_an_earlier_release_filled_gets_the_table_from_the_first_connection(store: Store) -> None:
    shop = world(V1)
    publish(store, shop)
    store.connection.execute("DROP TABLE recommender.customer_items")
    inference._inference = None
    bought = shop.best(shop.user("100"), 1)[0]
    deliver(LambdaService(), event("purchase", bought))
    assert ids(infer(request(customer_number=100))["responses"][0]) == shop.best(shop.user("100"), LIMIT, [bought])


def test_what_cannot_be_noted_for_anybody_goes_on_and_a_wrong_request_costs_no_other(store: Store) -> None:
    publish(store, world(V1))
    results = deliver(
        LambdaService(), event("purchase", "I1", customer=None), event("purchase", "\0", "x" * 600, customer="x" * 600)
    )
    assert [result for result, _ in results] == ["Ok", "Ok"]
    asked = {"id": "r", "user": {"customer_number": 100}, "items": [{"product_code": "I1"}]}
    wrong, right = infer({**asked, "type": "click"}, {**asked, "type": "rating"})["responses"]
    assert "purchase or rating" in wrong["error"]
    assert right == {"id": "r"}
    assert noted(store) == {"100": (set(), {"I1"})}


def test_batches_that_note_the_same_customers_at_once_wait_for_each_other(store: Store) -> None:
    publish(store, world(V1))
    customers = [str(n) for n in range(200)]

    def batch(place: int) -> None:
        order = customers if place % 2 else customers[::-1]
        with connect(store.database) as connection:
            for n in range(5):
                item = (f"I{place}-{n}",)
                exclusions.note(connection, [Act(EventType.PURCHASE, each, item) for each in order], POLICY)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(batch, range(4)))
    expected = {f"I{place}-{n}" for place in range(4) for n in range(5)}
    assert noted(store) == {customer: (expected, set()) for customer in customers}
