"""The job makes training data of the shops of docs/shops.md, by the files that it has for them."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts import dataset_file
from contracts.mysql import Login
from tests.etl import shops
from tests.local.shop_rows import N_ITEMS, visits
from tests.local.shops import fill
from tests.local.test_check import documented


@pytest.mark.parametrize("shop", ["WooCommerce", "PrestaShop", "OpenCart", "Magento", "Chinook"])
def test_orders_become_training_data(spark: SparkSession, shop_database: Login, lake: Path, shop: str) -> None:
    fill(shop_database, shop)
    text = documented(shop)[0]
    spec = dataset_file.parse(text)
    report = shops.run(spark, shop_database, text, lake)
    assert not set(shops.quarantined(lake)), "guests and returns are no defects"
    user, item = (spec.training_names[role, entity.key] for role, entity in
                  (("users", spec.users), ("items", spec.items)))  # fmt: skip
    # WordPress's users have other numbers than its customers: 1001 is 1.
    pairs = {(int(row[user]) % 1000, int(row[item])) for row in shops.rows(lake, spec.name)}
    everything = {(visit.user, visit.item) for visit in visits()}
    assert pairs <= everything
    assert len(pairs) == report.rows > 0.8 * len(everything)
    catalogue = shops.items(lake, spec.name)
    assert {row[item] for row in catalogue} == set(range(1, N_ITEMS + 4)), "those that nobody has bought are there"
    if spec.items.in_stock:
        stock = spec.training_names["items", spec.items.in_stock]
        assert 50 < sum(row[stock] is None or row[stock] > 0 for row in catalogue) < N_ITEMS + 3, "as the check counts"
