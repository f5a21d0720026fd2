"""`check` looks at a database as the ETL will, `--propose` writes a dataset.toml, and those of docs/shops.md hold."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from contracts import dataset_file
from emulator.program import ROOT
from functions.shared.mysql import Login
from functions.shop_seeder.sample_shop import generate
from functions.shop_seeder.sample_shop.sql import statements
from local.__main__ import main
from local.shop import read_customer, read_names, read_shop
from local.source import load_dump
from tests.databases import execute
from tests.local.shop_rows import N_ITEMS, N_USERS, visits
from tests.local.shops import SHOPS, fill
from tests.local.test_source import CLASSICMODELS


def url(login: Login) -> str:
    password = quote(login.password, safe="")
    return f"mysql://{login.username}:{password}@{login.host}:{login.port}/{login.database}"


def documented(shop: str) -> list[str]:
    """The dataset.toml of a shop in docs/shops.md; and with reviews in place of purchases, where there is one."""
    text = (ROOT / "docs" / "shops.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.partition(f"## {shop}")[2], maxsplit=1, flags=re.MULTILINE)[0]
    whole, *others = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    before, _, after = re.split(r"(\[ratings\].*?(?=\n\[event))", whole, maxsplit=1, flags=re.DOTALL)
    return [whole, *(before + ratings + after for ratings in others)]


@pytest.mark.parametrize("shop", ["WooCommerce", "PrestaShop", "OpenCart", "Magento", "Chinook"])
def test_each_documented_shop_can_start_a_run(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: str
) -> None:
    fill(shop_database, shop)
    for number, text in enumerate(documented(shop)):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        status = main(["check", "--source", url(shop_database), "--dataset", str(path)])
        told = capsys.readouterr().out
        assert status == 0, told
        assert f"{N_USERS:,} users, {N_ITEMS + 3:,} items, " in told
        assert "rows of no known user: 0.0%" in told
        assert "rows of no known item: 0.0%" in told
        rows = int(re.findall(r"([\d,]+) ratings$", told.strip())[0].replace(",", ""))
        assert len(visits()) * 0.8 < rows <= len(visits())
        if shop != "Chinook":
            there = int(re.findall(r"in stock, or stock not managed: (\d+) of 63", told)[0])
            assert 50 < there < 63


@pytest.mark.parametrize("shop", SHOPS)
def test_a_proposal_for_a_shop_can_start_a_run(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: str
) -> None:
    if shop in ("WooCommerce", "PrestaShop", "OpenCart", "Magento"):
        pytest.skip("their tables have no foreign keys, and prefixes of their own: docs/shops.md has a file for each")
    fill(shop_database, shop)
    path = tmp_path / "proposed.toml"
    status = main(["check", "--source", url(shop_database), "--propose", str(path)])
    told = capsys.readouterr().out
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
    assert main(["check", "--source", url(shop_database), "--propose", str(path)]) == 2  # never written over
    assert "expected no such file" in capsys.readouterr().out


def test_a_proposal_for_the_sample_shop_is_much_like_its_own(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = generate()
    execute(shop_database, statements(shop.customers, shop.products, shop.ratings))
    path = tmp_path / "proposed.toml"
    assert main(["check", "--source", url(shop_database), "--propose", str(path)]) == 0, capsys.readouterr().out
    proposed, own = dataset_file.load(path), dataset_file.load(ROOT / "dataset.toml")
    for role in ("users", "items"):
        ours, theirs = getattr(own, role), getattr(proposed, role)
        assert (theirs.table, theirs.key, theirs.key_type, theirs.in_stock) == (
            ours.table,
            ours.key,
            ours.key_type,
            ours.in_stock,
        )
        assert {column.name for column in ours.columns} <= {column.name for column in theirs.columns}
    assert (proposed.ratings.table, proposed.ratings.rating) == ("ratings", "productRating")
    assert (proposed.ratings.scale, proposed.ratings.liked) == ((1, 5), 4)


@pytest.mark.skipif(not CLASSICMODELS.is_dir(), reason=f"no sample database at {CLASSICMODELS} (set CLASSICMODELS)")
def test_a_proposal_for_the_public_sample_database_takes_its_orders(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = dataset_file.load(ROOT / "dataset.toml")
    load_dump(shop_database, CLASSICMODELS / "mysqlsampledatabase.sql", CLASSICMODELS / "ratings.csv", spec)
    execute(shop_database, ["DROP TABLE ratings"])
    path = tmp_path / "proposed.toml"
    assert main(["check", "--source", url(shop_database), "--propose", str(path)]) == 0, capsys.readouterr().out
    proposed = dataset_file.load(path)
    assert (proposed.users.table, proposed.items.table) == ("customers", "products")
    assert "orderdetails" in proposed.ratings.query


def test_a_database_without_anything_to_propose_and_one_that_does_not_fit_are_told(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(shop_database, ["CREATE TABLE logs (id INT PRIMARY KEY, line TEXT)"])
    assert main(["check", "--source", url(shop_database), "--propose", str(tmp_path / "a.toml")]) == 2
    assert "found no table whose columns lead to a table of users" in capsys.readouterr().out.replace("\n", " ")
    fill(shop_database, "Chinook")
    wrong = documented("Chinook")[0].replace('table = "Customer"', 'table = "Customers"')
    wrong = wrong.replace('UnitPrice = "numeric"', 'UnitPrice = "date"').replace("l.Quantity,", "l.Amount,")
    (tmp_path / "wrong.toml").write_text(wrong)
    assert main(["check", "--source", url(shop_database), "--dataset", str(tmp_path / "wrong.toml")]) == 2
    told = capsys.readouterr().out
    assert "users.table: no table Customers in the database" in told
    assert "UnitPrice" in told
    assert "ratings.query: Unknown column 'l.Amount'" in told
    assert told.count("ratings.") == 1  # columns of a statement that is refused are only the consequence


def test_orphans_and_empty_stock_are_warned_of(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(shop_database, "OpenCart")
    execute(shop_database, ["UPDATE oc_product SET quantity = 0, subtract = 1"])
    text = documented("OpenCart")[1].replace("JOIN oc_customer c ON c.customer_id = r.customer_id\n", "")
    (tmp_path / "shop.toml").write_text(text)
    assert main(["check", "--source", url(shop_database), "--dataset", str(tmp_path / "shop.toml")]) == 1
    told = capsys.readouterr().out
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


def test_odd_names_of_tables_and_columns_are_quoted(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert main(["check", "--source", url(shop_database), "--dataset", str(path)]) == 0, capsys.readouterr().out
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


def test_values_are_shown_and_keys_compared_as_the_etl_has_them(
    shop_database: Login, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert main(["check", "--source", url(shop_database), "--dataset", str(tmp_path / "shop.toml")]) == 1
    told = capsys.readouterr().out
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
