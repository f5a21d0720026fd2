"""Items that are sold out, or excluded by the caller, are in no list of an answer, at the moment of the answer."""

from dataclasses import replace
from typing import Any

from psycopg import sql

from functions.shared import versions
from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, ids, infer, request
from tests.functions.worlds import world

V1 = "20261101T000000Z-000001"


def test_what_is_sold_out_after_the_load_is_in_no_list(store: Store) -> None:
    shop = world(V1)
    store.serve(shop)
    asked = [request("near", items=["I1"]), request("nothing")]
    near, popular = infer(*asked)["responses"]
    gone = {listed[0]["id"] for listed in (_similar(near), near["recommended_items"], popular["recommended_items"])}
    items = versions.tables(V1).items
    store.connection.execute(sql.SQL("UPDATE {} SET in_stock = false WHERE id = ANY (%s)").format(items), [list(gone)])
    left = replace(shop, out_of_stock=frozenset(gone))
    near, popular = infer(*asked)["responses"]
    assert ids(near) == left.best(shop.vector("I1"), LIMIT, ["I1"])
    assert [item["id"] for item in _similar(near)] == left.best(shop.vector("I1"), LIMIT, ["I1"])
    by_popularity = [item for item in reversed(shop.item_ids) if item not in gone]
    assert ids(popular) == by_popularity[:LIMIT]
    store.connection.execute(sql.SQL("UPDATE {} SET in_stock = true").format(items))
    assert infer(*asked)["responses"][1]["recommended_items"][0]["id"] == shop.item_ids[-1]


def test_what_the_caller_excludes_is_in_no_list(store: Store) -> None:
    shop = world(V1)
    store.serve(shop)
    hidden = shop.best(shop.vector("I1"), 3, ["I1"])
    asked = {**request("near", items=["I1"]), "exclude": [*hidden, "no such", "\0"]}
    popular = {**request("nothing"), "exclude": ["I59"], "similar": False}
    near, nothing, wrong = infer(asked, popular, {**asked, "exclude": "I1"})["responses"]
    expected = shop.best(shop.vector("I1"), LIMIT, ["I1", *hidden])
    assert ids(near) == expected
    assert [item["id"] for item in _similar(near)] == expected
    assert ids(nothing) == ["I58", "I57", "I56", "I55", "I54"]
    assert wrong["error"] == "exclude: expected a list, found str"


def _similar(response: dict[str, Any]) -> list[dict[str, Any]]:
    (similar,) = response["similar_items"]
    return list(similar["similar_items"])
