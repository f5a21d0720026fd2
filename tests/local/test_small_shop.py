"""Shops that hold next to nothing, and shops whose data are refused: every run ends in an answer."""

import json
from pathlib import Path

import pytest

from contracts.mysql import Login
from tests.databases import execute
from tests.local.test_demo import run_local

PASSWORD = """pä€ß'"\\ @:/?#%ﷺ"""
TABLES = (
    "CREATE TABLE customers (customerNumber INT PRIMARY KEY, city TEXT, state TEXT, postalCode TEXT, country TEXT,"
    " creditLimit DECIMAL(10,2))",
    "CREATE TABLE products (productCode VARCHAR(20) PRIMARY KEY, productName TEXT, productLine TEXT, productScale TEXT,"
    " productVendor TEXT, quantityInStock INT, buyPrice DOUBLE, MSRP DOUBLE)",
    "CREATE TABLE ratings (customerNumber INT, productCode VARCHAR(20), productRating INT)",
)


@pytest.fixture
def shop(shop_database: Login, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a shop with four customers, whose login has a password of all kinds of characters."""
    literal = PASSWORD.replace("\\", "\\\\").replace("'", "''")
    execute(
        shop_database,
        [
            f"CREATE OR REPLACE USER 'reader'@'%' IDENTIFIED BY '{literal}'",
            f"GRANT SELECT ON `{shop_database.database}`.* TO 'reader'@'%'",
            *TABLES,
            "INSERT INTO customers VALUES "
            + ", ".join(f"({n}, 'Köln', NULL, '1', 'Germany', 10)" for n in range(1, 5)),
            "INSERT INTO products VALUES "
            + ", ".join(f"('ä{n}', 'Thing {n}', 'a', '1:1', 'V', {'NULL' if n % 2 else 3}, 1, 2)" for n in range(8)),
        ],
    )
    monkeypatch.setenv("SOURCE_PASSWORD", PASSWORD)
    return f"mysql://reader@{shop_database.host}:{shop_database.port}/{shop_database.database}"


def test_four_customers_with_one_rating_each_get_recommendations(
    shop: str, shop_database: Login, run_folder: Path
) -> None:
    values = ", ".join(f"({n}, 'ä{n}', {3 + n % 3})" for n in range(1, 5))
    execute(shop_database, [f"INSERT INTO ratings VALUES {values}"])
    run = run_local(run_folder / "a run's folder", "--source", shop, "--n-events", "12")
    assert run.status == 0, run.output
    assert "two-tower model, not measured: no customer has the three liked items that it takes" in run.output
    assert "12 of 12 came back as recommendations" in run.output
    assert all(record["recommended_items"] for record in run.records)
    assert list((run.folder / "quality").glob("quality/*/report.html"))


def test_what_the_quality_gate_rejects_is_kept_in_the_runs_folder(
    shop: str, shop_database: Login, run_folder: Path
) -> None:
    execute(shop_database, ["INSERT INTO ratings VALUES (1, 'ä1', 5), (2, 'ä2', 77), (99, 'ä3', 4)"])
    run = run_local(run_folder, "--source", shop)
    assert run.status == 1
    error = run.output.partition("error ")[2]
    assert "Glue job" in error
    assert "66.7%" in error
    assert str(run_folder / "quality") in error
    assert len(error.splitlines()) <= 5, error
    assert "Traceback" not in run.output
    rejected = [
        json.loads(line)["reason"]
        for path in (run_folder / "quality" / "quarantine").rglob("*.json")
        for line in path.read_text().splitlines()
    ]
    assert sorted(rejected) == ["rating not in scale", "user unknown"]
    assert list(run_folder.glob("quality/quality/*/report.html"))
