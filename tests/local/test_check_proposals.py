"""`check --propose` writes a dataset.toml that can start a run."""

from pathlib import Path

import pytest

from contracts import dataset_file
from contracts.mysql import Login
from emulator.program import ROOT
from functions.shop_seeder.sample_shop import generate
from functions.shop_seeder.sample_shop.sql import statements
from local.source import load_dump
from tests.databases import execute
from tests.local.shops import check, fill
from tests.local.test_source import CLASSICMODELS


# The tables of shop systems have no foreign keys, and prefixes of their own: docs/shops.md has a file for each.
@pytest.mark.parametrize("shop", ["Chinook", "sakila"])
def test_a_proposal_for_a_shop_can_start_a_run(shop_database: Login, tmp_path: Path, shop: str) -> None:
    fill(shop_database, shop)
    path = tmp_path / "proposed.toml"
    status, told = check(shop_database, "--propose", path)
    assert status == 0, told + path.read_text()
    spec = dataset_file.load(path)
    found = (spec.users.table, spec.items.table, spec.items.name)
    if shop == "Chinook":
        assert found == ("Customer", "Track", "Name")
        assert "City" in [column.name for column in spec.users.columns]
        assert spec.ratings.quantity == "quantity"
    else:
        assert found == ("customer", "film", "title")
        kinds = {column.name: column.kind.value for column in (*spec.users.columns, *spec.items.columns)}
        assert kinds["active"] == "boolean"
        assert kinds["create_date"] == "date"
        assert kinds["release_year"] == "integer"
        assert not {"first_name", "photo", "description"} & kinds.keys()
    assert spec.ratings.rating is None
    assert spec.ratings.time == "at"
    status, told = check(shop_database, "--propose", path)
    assert status == 2, "never written over"
    assert "expected no such file" in told


def test_a_proposal_for_the_sample_shop_is_much_like_its_own(shop_database: Login, tmp_path: Path) -> None:
    shop = generate()
    execute(shop_database, statements(shop.customers, shop.products, shop.ratings))
    path = tmp_path / "proposed.toml"
    status, told = check(shop_database, "--propose", path)
    assert status == 0, told
    proposed, own = dataset_file.load(path), dataset_file.load(ROOT / "dataset.toml")
    for role in ("users", "items"):
        ours, theirs = getattr(own, role), getattr(proposed, role)
        for named in ("table", "key", "key_type", "in_stock"):
            assert getattr(theirs, named) == getattr(ours, named)
        assert {column.name for column in ours.columns} <= {column.name for column in theirs.columns}
    assert (proposed.ratings.table, proposed.ratings.rating) == ("ratings", "productRating")
    assert (proposed.ratings.scale, proposed.ratings.liked) == ((1, 5), 4)


@pytest.mark.skipif(not CLASSICMODELS.is_dir(), reason=f"no sample database at {CLASSICMODELS} (set CLASSICMODELS)")
def test_a_proposal_for_the_public_sample_database_takes_its_orders(shop_database: Login, tmp_path: Path) -> None:
    spec = dataset_file.load(ROOT / "dataset.toml")
    load_dump(shop_database, CLASSICMODELS / "mysqlsampledatabase.sql", CLASSICMODELS / "ratings.csv", spec)
    execute(shop_database, ["DROP TABLE ratings"])
    path = tmp_path / "proposed.toml"
    status, told = check(shop_database, "--propose", path)
    assert status == 0, told
    proposed = dataset_file.load(path)
    assert (proposed.users.table, proposed.items.table) == ("customers", "products")
    assert "orderdetails" in proposed.ratings.query


def test_a_database_without_anything_to_propose_is_told(shop_database: Login, tmp_path: Path) -> None:
    execute(shop_database, ["CREATE TABLE logs (id INT PRIMARY KEY, line TEXT)"])
    status, told = check(shop_database, "--propose", tmp_path / "a.toml")
    assert status == 2
    assert "found no table whose columns lead to a table of users" in told.replace("\n", " ")
