"""The catalogue is fresh without training: the function between a real shop and a real store."""

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from contracts.mysql import Login, SourceError
from functions.catalog_refresh import handler
from functions.shared import loader_lock
from tests.functions.conftest import Store
from tests.functions.lambdas import act, ids, infer, load, request
from tests.functions.shop_items import LOGIN_KEY, ShopItems, shop_items
from tests.functions.worlds import World, world

V1, V2, V3 = "20261101T000000Z-000001", "20261102T000000Z-000002", "20261103T000000Z-000003"
NANTES = request("r", city="Nantes")
"""A visitor whose vector lies where the tests' item tower puts new items."""


def publish(store: Store, version: str = V1, **changes: Any) -> World:
    made = world(version, **changes)
    store.serve(made)
    return made


@pytest.fixture
def shop(store: Store, shop_database: Login, monkeypatch: pytest.MonkeyPatch) -> ShopItems:
    monkeypatch.setenv("SOURCE_LOGIN_URI", f"s3://{store.bucket}/{LOGIN_KEY}")
    return shop_items(store, shop_database, world(V1).item_ids)


def recommended(*requests: Any) -> list[str]:
    return ids(infer(*(requests or [NANTES]))["responses"][0])


def test_a_new_item_is_recommended_and_one_sold_out_is_not_at_the_next_refresh(store: Store, shop: ShopItems) -> None:
    made = publish(store)
    shop.refresh()
    shop.put("NEW", price=25.0, name="Brand new")
    assert "NEW" not in recommended()
    assert shop.refresh()["versions"][V1]["added"] == 1
    assert recommended()[0] == "NEW"
    in_stock, attributes, vector, _ = shop.stored(V1)["NEW"]
    assert (in_stock, attributes["name"], attributes["buyPrice"]) == (True, "Brand new", 25)
    assert np.allclose(np.fromstring(vector.strip("[]"), sep=","), [0.025, 1, 0, 0, 0, 0, 0, 0]), "buyPrice / 1000, 1"
    (similar,) = infer(request("r", items=["NEW"]))["responses"][0]["similar_items"]
    expected = made.best(np.array([0.025, 1, 0, 0, 0, 0, 0, 0]), 5)
    assert [item["id"] for item in similar["similar_items"]] == expected
    shop.execute("UPDATE products SET quantityInStock = 0 WHERE productCode = 'NEW'")
    shop.refresh()
    assert "NEW" not in recommended()
    shop.execute("UPDATE products SET quantityInStock = 3 WHERE productCode = 'NEW'")
    shop.refresh()
    assert recommended()[0] == "NEW"


def test_an_item_of_the_training_keeps_its_vector_and_gets_its_new_stock_and_attributes(
    store: Store, shop: ShopItems
) -> None:
    made = publish(store)
    shop.refresh()
    before = shop.stored(V1)
    best = made.best(made.vector("I1"), 1, ["I1"])[0]
    shop.put(best, stock=0)
    shop.put("I7", price=99.0, name="Renamed")
    assert shop.refresh()["versions"][V1]["changed"] == 2
    after = shop.stored(V1)
    assert after["I7"][1]["name"] == "Renamed"
    assert after["I7"][1]["buyPrice"] == 99
    assert after["I7"][2] == before["I7"][2]
    assert best not in recommended(request("r", items=["I1"]))
    assert recommended(request("r", items=["I1"])) == replace(made, out_of_stock=frozenset({best})).best(
        made.vector("I1"), 5, ["I1"]
    )


def test_only_differences_are_written(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.put("NEW")
    first = shop.refresh()["versions"][V1]
    assert (first["added"], first["changed"]) == (1, 60), "a version that training left without attributes gets them"
    before = shop.stored(V1)
    assert set(shop.refresh()["versions"][V1].values()) == {0}
    assert shop.stored(V1) == before
    shop.put("I3", name="Another")
    shop.refresh()
    assert [id_ for id_, row in shop.stored(V1).items() if row != before[id_]] == ["I3"]


def test_what_a_refresh_added_is_embedded_again_when_its_features_change(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.put("NEW", price=25.0)
    shop.refresh()
    shop.put("NEW", price=500.0)
    assert shop.refresh()["versions"][V1]["embedded"] == 1
    assert shop.stored(V1)["NEW"][2].startswith("[0.5,1,")


def test_what_vanishes_from_the_table_is_out_of_stock_until_it_is_back(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.refresh()
    shop.execute("DELETE FROM products WHERE productCode IN ('I1', 'I2')")
    assert shop.refresh()["versions"][V1]["vanished"] == 2
    assert [id_ for id_, row in shop.stored(V1).items() if not row[0]] == ["I1", "I2"]
    shop.put("I1")
    shop.refresh()
    assert [id_ for id_, row in shop.stored(V1).items() if not row[0]] == ["I2"]


def test_what_was_sold_out_at_the_load_is_as_popular_as_before_when_it_is_back(store: Store, shop: ShopItems) -> None:
    publish(store, out_of_stock=frozenset({"I59", "I57"}))
    shop.put("I57", stock=0)
    assert recommended(request("nobody")) == ["I58", "I56", "I55", "I54", "I53"]
    shop.refresh()
    assert recommended(request("nobody")) == ["I59", "I58", "I56", "I55", "I54"]


def test_a_table_that_lost_most_of_its_rows_is_taken_for_broken(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.refresh()
    shop.execute("DELETE FROM products WHERE productCode <> 'I1'")
    with pytest.raises(handler.RefreshError, match=rf"{V1}: the source lacks 59 of the 60 items in stock"):
        shop.refresh()
    assert all(in_stock for in_stock, *_ in shop.stored(V1).values())


def test_the_active_version_and_those_after_it_are_refreshed_and_no_earlier_one(store: Store, shop: ShopItems) -> None:
    for version, seed in ((V1, 1), (V2, 2), (V3, 3)):
        publish(store, version, seed=seed)
    act("activate", version=V2)
    shop.put("NEW")
    report = shop.refresh()
    assert {version: counts["added"] for version, counts in report["versions"].items()} == {V2: 1, V3: 1}
    assert "NEW" not in shop.stored(V1)
    act("activate", version=V3)
    assert recommended()[0] == "NEW"


def test_without_an_item_tower_stock_and_attributes_are_refreshed_and_new_items_counted(
    store: Store, shop: ShopItems
) -> None:
    publish(store, item_tower=None)
    shop.put("NEW")
    shop.put("I1", stock=0)
    counts = shop.refresh()["versions"][V1]
    assert (counts["added"], counts["without_vector"]) == (0, 1)
    assert shop.stored(V1)["I1"][0] is False
    assert "NEW" not in shop.stored(V1)


def test_a_bad_row_costs_that_row_and_is_named(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.refresh()
    shop.execute("ALTER TABLE products MODIFY quantityInStock BIGINT UNSIGNED NOT NULL")
    shop.put("NEW")
    shop.put("I1", stock=2**64 - 1, name="Wrong")
    shop.put("N\0UL")
    report = shop.refresh()
    too_large, unusable = "quantityInStock: too large for an integer", "key too long, or with a NUL"
    assert report["refused"] == {too_large: 1, unusable: 1}
    assert report["refused_keys"] == [rf"'N\x00UL': {unusable}", f"I1: {too_large}"]
    assert report["versions"][V1]["added"] == 1
    assert shop.stored(V1)["I1"][:2] != (False, None), "the item stays as it was"
    assert shop.stored(V1)["I1"][1]["name"] == "A name"


def test_while_a_version_is_loaded_nothing_is_written(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.put("NEW")
    with psycopg.connect(store.connection.info.dsn, password=store.database.password) as loader:
        loader.execute("SELECT pg_advisory_lock(%s)", [loader_lock.LOCK])
        assert shop.refresh() == {"skipped": handler.LOADING}
    assert "NEW" not in shop.stored(V1)
    shop.refresh()
    assert "NEW" in shop.stored(V1)


def test_a_refresh_whose_time_is_up_is_gone_on_with_by_the_next(
    store: Store, shop: ShopItems, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(store)
    assert shop.refresh(seconds=handler.MARGIN_SECONDS)["complete"] is False
    assert "CatalogRefreshes" not in capsys.readouterr().out, "the alarm counts complete ones"
    assert shop.refresh()["complete"] is True
    assert '"CatalogRefreshes":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_a_store_without_a_version_has_nothing_to_refresh(store: Store, shop: ShopItems) -> None:
    report = shop.refresh()
    assert (report["versions"], report["complete"]) == ({}, True)


def test_a_version_made_elsewhere_says_nothing_of_its_items(store: Store, shop: ShopItems) -> None:
    made = world(V1, tower=None, item_tower=None)
    made.publish(store.s3, store.bucket, replace(made.manifest(), dataset=None))
    load(store.bucket, V1)
    assert list(shop.refresh()["unread"]) == [V1]


def test_a_column_that_is_missing_is_told_with_those_that_are_there(store: Store, shop: ShopItems) -> None:
    publish(store)
    shop.execute("ALTER TABLE products DROP COLUMN buyPrice")
    with pytest.raises(SourceError, match=r"items.columns.buyPrice: products has no column buyPrice"):
        shop.refresh()
