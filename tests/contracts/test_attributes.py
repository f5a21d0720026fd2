"""An item's attributes: each kind of column as JSON has it, and nothing that is missing, too long or unreadable."""

import json
from datetime import date
from decimal import Decimal

from contracts import dataset_file
from contracts.attributes import MAX_CHARACTERS, MAX_TEXT_CHARACTERS, attributes, to_json
from tests.contracts.test_dataset import PURCHASES

ITEMS = dataset_file.parse(
    PURCHASES.replace(
        '"Unit. Price" = "numeric"',
        '"Unit. Price" = "numeric"\nstocked = "integer"\nsince = "date"\ntags = "tags:|"\nbrand = "categorical"\n'
        '[items.display]\nprice = "unit. price"\nimage = "picture"\nsku = "id"\nrank = "Rank"',
    )
).items


def test_each_kind_of_column_has_its_own_json() -> None:
    row = {
        "id": 7, "status": "1", "Unit. Price": 9.50, "stocked": 3.0, "since": date(2026, 1, 31), "tags": "a| b ||a",
        "brand": " Caf\0\ud800é ", "picture": "https://shop/7.png", "Rank": Decimal("2.0"),
    }  # fmt: skip
    assert attributes(ITEMS, row) == {
        "price": 9.5, "image": "https://shop/7.png", "sku": 7, "rank": 2, "status": True, "Unit. Price": 9.5,
        "stocked": 3, "since": "2026-01-31", "tags": ["a", "b", "a"], "brand": "Café",
    }  # fmt: skip


def test_what_is_missing_or_does_not_fit_is_left_out() -> None:
    row = {
        "id": None, "status": "maybe", "Unit. Price": float("nan"), "stocked": 1e300, "since": "0000-00-00",
        "tags": "|", "brand": "  ", "picture": "x" * (MAX_TEXT_CHARACTERS + 1), "Rank": float("inf"),
    }  # fmt: skip
    assert attributes(ITEMS, row) == attributes(ITEMS, {}) == {}
    long = dict.fromkeys(("picture", "brand", "id", "Rank"), "x" * MAX_TEXT_CHARACTERS)
    found = attributes(ITEMS, {**long, "tags": "|".join(letter * 900 for letter in "xyz")})
    assert list(found) == ["image", "sku", "rank", "tags"]
    assert len(to_json(found)) <= MAX_CHARACTERS
    assert json.loads(to_json(found)) == found
