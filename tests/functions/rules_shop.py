"""A shop of 120 items with attributes, for the tests of rules, filters and diversity."""

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.rules import RULES_FOLDER
from functions.shared.serving import rules_file
from tests.functions.conftest import Store
from tests.functions.worlds import World, world

V1 = "20261101T000000Z-000001"
BRANDS, COLOURS = ("acme", "Bolt & Co", "c\"u'p"), ("red", "blue", "green")
ITEMS = [f"I{number}" for number in range(120)]


def told(number: int) -> dict[str, Any]:
    """Every seventh item has no brand; item 5 alone is `rare`."""
    brand = {} if number % 7 == 0 else {"productLine": BRANDS[number % 3]}
    rare = {"vendor": "rare"} if number == 5 else {}
    return {
        "name": f"Item {number}",
        "price": 1990 + number % 4,
        "colours": [COLOURS[number % 2], "any"],
        **brand,
        **rare,
    }


SHOP = world(
    V1,
    n_items=len(ITEMS),
    out_of_stock=frozenset({"I3", "I4"}),
    excluded={"101": ["I59", "I60"]},
    attributes={item: told(number) for number, item in enumerate(ITEMS)},
)


@pytest.fixture(name="shop")
def shop_fixture(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(rules_file, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(rules_file, "AWAY_SECONDS", 0.0)
    store.serve(SHOP)
    yield SHOP
    for entry in store.s3.list_objects_v2(Bucket=store.bucket, Prefix=RULES_FOLDER).get("Contents", []):
        store.s3.delete_object(Bucket=store.bucket, Key=entry["Key"])
