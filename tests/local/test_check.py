"""`check` reads a database as the ETL will, and passes the files of docs/shops.md."""

import re
from pathlib import Path

import pytest

from contracts import dataset_file
from contracts.mysql import Login
from emulator.program import ROOT
from local.shop import read_customer, read_names, read_shop
from tests.databases import execute
from tests.local.shop_rows import N_ITEMS, N_USERS, visits
from tests.local.shops import check, fill


def documented(shop: str) -> list[str]:
    """The dataset.toml of a shop in docs/shops.md; and with reviews in place of purchases, where there is one."""
    text = (ROOT / "docs" / "shops.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.partition(f"## {shop}")[2], maxsplit=1, flags=re.MULTILINE)[0]
    whole, *others = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    before, _, after = re.split(r"(\[ratings\].*?(?=\n\[event))", whole, maxsplit=1, flags=re.DOTALL)
    return [whole, *(before + ratings + after for ratings in others)]


@pytest.mark.parametrize("shop", ["WooCommerce", "PrestaShop", "OpenCart", "Magento", "Chinook"])
def test_each_documented_shop_can_start_a_run(shop_database: Login, tmp_path: Path, shop: str) -> None:
    fill(shop_database, shop)
    for number, text in enumerate(documented(shop)):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        status, told = check(shop_database, "--dataset", path)
        assert status == 0, told
        assert f"{N_USERS:,} users, {N_ITEMS + 3:,} items, " in told
        assert "rows of no known user: 0.0%" in told
        assert "rows of no known item: 0.0%" in told
        rows = int(re.findall(r"([\d,]+) ratings$", told.strip())[0].replace(",", ""))
        assert len(visits()) * 0.8 < rows <= len(visits())
        if shop != "Chinook":
            there = int(re.findall(r"in stock, or stock not managed: (\d+) of 63", told)[0])
            assert 50 < there < 63


def test_a_database_that_does_not_fit_is_told(shop_database: Login, tmp_path: Path) -> None:
    fill(shop_database, "Chinook")
    wrong = documented("Chinook")[0].replace('table = "Customer"', 'table = "Customers"')
    wrong = wrong.replace('UnitPrice = "numeric"', 'UnitPrice = "date"').replace("l.Quantity,", "l.Amount,")
    (tmp_path / "wrong.toml").write_text(wrong)
    status, told = check(shop_database, "--dataset", tmp_path / "wrong.toml")
    assert status == 2
    assert "users.table: no table Customers in the database" in told
    assert "UnitPrice" in told
    assert "ratings.query: Unknown column 'l.Amount'" in told
    assert told.count("ratings.") == 1  # columns of a statement that is refused are only the consequence


def test_orphans_and_empty_stock_are_warned_of(shop_database: Login, tmp_path: Path) -> None:
    fill(shop_database, "OpenCart")
    execute(shop_database, ["UPDATE oc_product SET quantity = 0, subtract = 1"])
    text = documented("OpenCart")[1].replace("JOIN oc_customer c ON c.customer_id = r.customer_id\n", "")
    (tmp_path / "shop.toml").write_text(text)
    status, told = check(shop_database, "--dataset", tmp_path / "shop.toml")
    assert status == 1
    assert re.search(r"rows of no known user: (9|10)\.\d%", told)
    assert "more than quality.max_rejected = 0.05: the job would refuse them" in told
    assert "nothing is in stock: nothing is recommended" in told


ODD = """
[users]
table = "Cust. 100% `x`"
key = "id"
key_type = "text"
[users.columns]
"Cust. City" = "categorical"
"50% off `now`" = "numeric"
[items]
table = "select"
key = "%s"
key_type = "text"
name = "a'b"
[ratings]
table = "rates"
user = "who?"
item = "what`"
rating = "{n}"
[event.features]
city = "Cust. City"
"""


def test_odd_names_of_tables_and_columns_are_quoted(shop_database: Login, tmp_path: Path) -> None:
    execute(
        shop_database,
        [
            "CREATE TABLE `Cust. 100% ``x``` (id VARCHAR(20) PRIMARY KEY, `Cust. City` TEXT, `50% off ``now``` DOUBLE)",
            "CREATE TABLE `select` (`%s` VARCHAR(20) PRIMARY KEY, `a'b` TEXT)",
            "CREATE TABLE rates (`who?` VARCHAR(20), `what``` VARCHAR(20), `{n}` INT)",
            "INSERT INTO `Cust. 100% ``x``` VALUES ('ä%s', 'O''Fallon', 1.5), ('b', NULL, NULL)",
            "INSERT INTO `select` VALUES ('1%', 'One'), ('2', 'Two'), ('3', 'Three')",
            "INSERT INTO rates VALUES ('ä%s', '1%', 5), ('ä%s', '2', 5), ('ä%s', '3', 5), ('b', '2', 1)",
        ],
    )
    path = tmp_path / "odd.toml"
    path.write_text(ODD, encoding="utf-8")
    status, told = check(shop_database, "--dataset", path)
    assert status == 0, told
    spec = dataset_file.load(path)
    shop = read_shop(shop_database, spec)
    assert shop.item_names == {"1%": "One", "2": "Two", "3": "Three"}
    assert {customer.id: customer.liked for customer in shop.customers} == {"b": (), "ä%s": ("1%", "2", "3")}
    customer = read_customer(shop_database, spec, "ä%s")
    assert customer is not None
    assert customer.features == {"Cust. City": "O'Fallon", "50% off `now`": 1.5}
    assert read_names(shop_database, spec, {"1%", "no"}).item_names == {"1%": "One"}


AS_THE_ETL = """
[users]
table = "people"
key = "id"
key_type = "integer"
[users.columns]
flags = "categorical"
v = "categorical"
born = "date"
seen = "date"
[items]
table = "things"
key = "code"
key_type = "text"
[ratings]
table = "bought"
user = "who"
item = "what"
time = "at"
"""


def test_values_are_shown_and_keys_compared_as_the_etl_has_them(shop_database: Login, tmp_path: Path) -> None:
    execute(
        shop_database,
        [
            "SET sql_mode = ''",
            "CREATE TABLE people (id INT(5) ZEROFILL PRIMARY KEY, flags BIT(6), v TEXT, born DATE, seen DATE)",
            "CREATE TABLE things (code VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY)",
            "CREATE TABLE bought (who INT, what VARCHAR(9) COLLATE utf8mb4_general_ci, at DATETIME)",
            "INSERT INTO people VALUES (1, 9, 'Rome', 0, NULL), (2, 9, 'ROME', '1990-01-02', NULL)",
            "INSERT INTO things VALUES ('a'), ('A')",
            "INSERT INTO bought VALUES (1, 'a', '2026-01-02'), (1, 'A', 0), (2, 'a', NULL), (2, 'ä', '2026-01-02')",
        ],
    )
    (tmp_path / "shop.toml").write_text(AS_THE_ETL)
    status, told = check(shop_database, "--dataset", tmp_path / "shop.toml")
    assert status == 1
    for line in (
        r"flags +categorical +BIT\(6\) +1 values: 9 \(2\)",
        r"v +categorical +TEXT +2 values: ROME \(1\), Rome \(1\)",
        r"born +date +DATE +1990-01-02 to 1990-01-02; 1 empty",
        r"seen +date +DATE +empty in every row",
        r"users with ratings +2 of 2; rows of no known user: 0.0%",
        r"items with ratings +2 of 2; rows of no known item: 25.0%",
        r"at +2026-01-02 00:00:00 to 2026-01-02 00:00:00; 2 empty",
        r"! bought: at missing: 50.0%, more than quality.max_rejected",
    ):
        assert re.search(line, told), told
    shop = read_shop(shop_database, dataset_file.load(tmp_path / "shop.toml"))
    assert shop.customers[0].features == {"flags": 9, "v": "Rome"}, "an event says nothing of a zero date"
