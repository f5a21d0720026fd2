"""Parallel reads over JDBC lose and double nothing; folders hold as few files as their size allows."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts.columns import KeyType
from contracts.mysql import Login
from contracts.source_rows import Rows
from etl.mysql import Split
from tests.databases import execute
from tests.etl import shops
from tests.etl.test_ratings_etl import SHOP

TEXT_KEYS = ["a", "A", "it's", "back\\slash", "ä", "zz", " lead", "50%", '"', "`", "b", "c", "d", "e"]


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"])
def test_ranges_of_text_keys_part_the_table(
    spark: SparkSession, shop_database: Login, monkeypatch: pytest.MonkeyPatch, collation: str
) -> None:
    monkeypatch.setattr("etl.mysql.ROWS_A_READER", 6)
    quoted = [key.replace("\\", "\\\\").replace("'", "''") for key in TEXT_KEYS]
    execute(
        shop_database,
        [
            "CREATE TABLE people (id VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY)",
            f"CREATE TABLE marks (n INT AUTO_INCREMENT PRIMARY KEY, person VARCHAR(20) COLLATE {collation})",
            *(f"INSERT INTO people VALUES ('{key}')" for key in quoted),
            *(f"INSERT INTO marks (person) VALUES ('{key}'), ('{key}'), ('{key}')" for key in quoted),
            "INSERT INTO marks (person) VALUES (NULL), ('unknown'), ('')",
        ],
    )
    frame = shops.source_of(shop_database).read(
        spark, Rows(table="marks"), {"n": "n"}, Split("person", KeyType.TEXT, ("people", "id"))
    )
    assert frame.rdd.getNumPartitions() > 3
    assert frame.columns == ["n"]
    assert sorted(row.n for row in frame.collect()) == list(range(1, 3 * len(TEXT_KEYS) + 4))


def test_ranges_follow_the_keys_and_not_the_gaps_between_them(
    spark: SparkSession, shop_database: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.mysql.ROWS_A_READER", 100)
    execute(
        shop_database,
        [
            "CREATE TABLE people (id BIGINT PRIMARY KEY)",
            "INSERT INTO people SELECT CAST(seq * seq * seq AS SIGNED) - 50 FROM seq_1_to_1000",
        ],
    )
    split = Split("id", KeyType.INTEGER, ("people", "id"))
    frame = shops.source_of(shop_database).read(spark, Rows(table="people"), {"id": "id"}, split)
    sizes = frame.rdd.mapPartitions(lambda rows: [sum(1 for _ in rows)]).collect()
    assert sum(sizes) == 1000
    assert len(sizes) == 11
    assert max(sizes) <= 2 * min(sizes)


def test_a_folder_has_one_file_unless_that_would_be_too_large(
    spark: SparkSession, shop_database: Login, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_bucket = shops.BOOKS.replace("buckets = 3", "buckets = 1")
    shops.make_books(shop_database, *SHOP)
    report = shops.run(spark, shop_database, one_bucket, lake)
    assert len(shops.marker(lake, "books-ml").files) == 1
    monkeypatch.setattr("etl.lake.MAX_FILE_BYTES", 2 * report.row_bytes)
    shops.run(spark, shop_database, one_bucket, lake)
    assert len(shops.marker(lake, "books-ml").files) == 2
    assert len(shops.rows(lake, "books-ml")) == 4


@pytest.mark.parametrize("only_changed", [False, True], ids=["full", "incremental"])
def test_a_shop_that_is_read_in_many_ranges_gives_the_same_data(
    spark: SparkSession,
    shop_database: Login,
    lake: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    only_changed: bool,
) -> None:
    collations = ("readers CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "books CHARACTER SET latin1")
    shops.make_books(shop_database, *SHOP, *(f"ALTER TABLE {collation}" for collation in collations))
    shops.run(spark, shop_database, shops.BOOKS, lake)
    expected = sorted(map(str, shops.rows(lake, "books-ml")))
    monkeypatch.setattr("etl.mysql.ROWS_A_READER", 1)
    many = tmp_path / "many"
    many.mkdir()
    shops.run(spark, shop_database, shops.BOOKS, many, only_changed=only_changed)
    assert sorted(map(str, shops.rows(many, "books-ml"))) == expected
