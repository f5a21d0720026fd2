"""Purchases, from the tables that a shop has: no rating, a join, guests, names with odd characters."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts import dataset_file
from contracts.mysql import Login
from tests.databases import execute
from tests.etl import shops

MUSIC = Path(__file__).parents[1] / "shops" / "music"
"""The worked example of docs/batch.md: a music shop with invoices, as Chinook has them."""


def test_invoices_become_training_data_by_a_join_in_the_dataset_file(
    spark: SparkSession, shop_database: Login, lake: Path, driver: str
) -> None:
    statements = (MUSIC / "shop.sql").read_text().split(";\n")
    execute(shop_database, filter(str.strip, statements))
    report = shops.run(spark, shop_database, (MUSIC / "dataset.toml").read_text(), lake, driver=driver)
    rows = {(row["CustomerId"], row["TrackId"]): row for row in shops.rows(lake, "music")}
    assert {pair: row["Quantity"] for pair, row in rows.items()} == {
        ("1", 1): 3.0, ("1", 2): 1.0, ("2", 1): 1.0, ("3", 3): 2.0,
    }  # fmt: skip
    assert str(rows["1", 1]["InvoiceDate"]).startswith("2025-03-02")
    assert dict(report.tables[-1].rejected) == {
        "added to the user's latest purchase of the item": 1,
        "returned: the quantities add up to nothing": 2,
    }
    assert {row["TrackId"]: (row["GenreName"], row["Unit__Price"]) for row in shops.items(lake, "music")} == {
        1: ("Rock", 0.99), 2: ("Jazz", 0.99), 3: ("Rock", 1.99), 4: (None, 0.99),
    }  # fmt: skip
    assert {row["CustomerId"]: str(row["BirthDate"]) for row in rows.values()} == {
        "1": "1980-02-29", "2": "None", "3": "1999-12-31",
    }  # fmt: skip
    assert set(shops.quarantined(lake)) == {"ratings"}
    assert "TrackId" in dataset_file.parse((MUSIC / "dataset.toml").read_text()).training_names.values()


def test_rows_that_are_no_customers_are_left_out_by_a_condition(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    execute(
        shop_database,
        [
            "CREATE TABLE people (`id` INT, `Cust. ``City``` TEXT, status TEXT)",
            'CREATE TABLE things (`id` INT, `it\'s "odd"; --` BIT(1), status TEXT)',
            "CREATE TABLE `my reviews` (`who?` INT, thing INT, stars TINYINT(1), status TEXT)",
            "INSERT INTO people VALUES (1, 'Oslo', 'a'), (2, 'Rome', 'b')",
            "INSERT INTO things VALUES (1, b'1', 'x'), (2, b'0', 'y')",
            "INSERT INTO `my reviews` VALUES (0, 1, 5, 'ok'), (1, 1, -1, 'ok'), (2, 1, 1, 'ok'), (2, 2, 0, 'spam')",
        ],
    )
    dataset = """
        [users]
        table = "people"
        key = "id"
        key_type = "integer"
        [users.columns]
        "Cust. `City`" = "categorical"
        status = "categorical"
        [items]
        table = "things"
        key = "id"
        key_type = "integer"
        [items.columns]
        'it''s "odd"; --' = "boolean"
        status = "passthrough"
        [ratings]
        table = "my reviews"
        where = "`who?` > 0 AND status <> 'spam' -- guests are 0"
        user = "who?"
        item = "thing"
        rating = "stars"
        scale = [-1, 1]
        liked = 1
        [output]
        name = "odd"
    """.replace("'it''s \"odd\"; --'", '"it\'s \\"odd\\"; --"')
    report = shops.run(spark, shop_database, dataset, lake)
    assert not report.tables[-1].rejected
    rows = sorted(shops.rows(lake, "odd"), key=lambda row: str(row["users_id"]))
    assert rows == [
        {"users_id": "1", "Cust___City_": "Oslo", "users_status": "a", "items_id": 1, "it_s__odd_____": "1",
         "items_status": "x", "stars": -1},
        {"users_id": "2", "Cust___City_": "Rome", "users_status": "b", "items_id": 1, "it_s__odd_____": "1",
         "items_status": "x", "stars": 1},
    ]  # fmt: skip


def test_a_column_of_another_kind_is_refused_before_anything_is_read(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database)
    wrong = shops.BOOKS.replace('home_town = "categorical"', 'home_town = "numeric"').replace('"stars"', '"starz"')
    with pytest.raises(dataset_file.DatasetError) as raised:
        shops.run(spark, shop_database, wrong, lake)
    assert str(raised.value).splitlines()[1:] == [
        "users.columns.home_town: readers.home_town is TEXT, which cannot be numeric: declare it categorical (a key: "
        "key_type = 'text'), or convert it in a query",
        "ratings.table: no table starz in the database",
    ]


def test_ids_that_no_integer_holds_are_rejected_and_never_another_users(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    execute(
        shop_database,
        [
            "CREATE TABLE people (id INT PRIMARY KEY)",
            "CREATE TABLE things (id BIGINT UNSIGNED PRIMARY KEY)",
            "CREATE TABLE bought (who BIGINT UNSIGNED, what BIGINT UNSIGNED)",
            "INSERT INTO people VALUES (1), (2)",
            "INSERT INTO things VALUES (1), (18446744073709551615), (9223372036854775807)",
            "INSERT INTO bought VALUES (1, 9223372036854775807), (4294967298, 1), (2, 18446744073709551615)",
        ],
    )
    dataset = """
        [users]
        table = "people"
        key = "id"
        key_type = "integer"
        [items]
        table = "things"
        key = "id"
        key_type = "integer"
        [ratings]
        table = "bought"
        user = "who"
        item = "what"
        [output]
        name = "big"
        [quality]
        max_rejected = 1
    """
    shops.run(spark, shop_database, dataset, lake)
    assert shops.rows(lake, "big") == [{"users_id": "1", "items_id": 2**63 - 1, "quantity": 1.0}]
    bad = shops.quarantined(lake)
    assert [(row["reason"], row["value"]) for row in bad["items"]] == [
        ("id: too large for an integer", "18446744073709551615")
    ]
    assert sorted((row["reason"], row["value"]) for row in bad["ratings"]) == [
        ("what: too large for an integer", "18446744073709551615"),
        ("who: too large for an integer", "4294967298"),
    ]
