"""Incremental runs give what full runs give, whatever changed in between; unchanged partitions keep their files."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from local.shop import Login
from tests.databases import execute
from tests.etl import shops
from tests.etl.test_ratings_etl import SHOP

LENIENT = "[quality]\nmax_rejected = 1.0\nmin_rows = 0\n"
FOLDERS = (shops.BOOKS + LENIENT).replace("buckets = 3", "")


def test_partitions_in_which_nothing_changed_keep_their_files_and_a_rating_from_the_future_hides_none(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database, *SHOP, "INSERT INTO stars VALUES ('ann', '1', 2, '2099-01-01')")
    shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    before = set(shops.marker(lake, "books-ml").files)
    execute(shop_database, ["INSERT INTO stars VALUES ('Bo\\'s', '2', 8, '2026-05-01')"])
    report = shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    after = set(shops.marker(lake, "books-ml").files)
    assert {file.split("/")[0] for file in before & after} == {"reader_id=ann", "reader_id=cleo"}
    assert report.notes == ()
    full = shops.run(spark, shop_database, FOLDERS, lake)
    assert full.notes == ("stars.scored_at: 1 rows are dated after tomorrow: they count as the users' latest",)
    unchanged = set(shops.marker(lake, "books-ml").files)
    report = shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    assert "everything was read: there is no incremental run before" in report.notes
    assert not unchanged & set(shops.marker(lake, "books-ml").files)


def test_what_has_changed_beyond_listing_is_read_whole(
    spark: SparkSession, shop_database: Login, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.incremental.MAX_LISTED", 1)
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    execute(shop_database, ["UPDATE books SET pages = pages + 1, genres = 'x'"])
    report = shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    assert report.notes == ("everything was read: more than 1 partitions or items have changed",)
    assert {row["genres"] for row in shops.rows(lake, "books-ml")} == {"x"}
