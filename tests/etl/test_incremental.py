"""Incremental runs give what full runs give, whatever changed in between; unchanged partitions keep their files."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from contracts.mysql import Login
from tests.databases import execute
from tests.etl import shops
from tests.etl.test_ratings_etl import SHOP

LENIENT = "[quality]\nmax_rejected = 1.0\nmin_rows = 0\n"
BUCKETS = shops.BOOKS + LENIENT
FOLDERS = BUCKETS.replace("buckets = 3", "")
TIMELESS = FOLDERS.replace('time = "scored_at"\n', "")
CHANGES = (
    "UPDATE stars SET score = 1 WHERE reader = 'ann' AND book = '1'",
    "INSERT INTO stars VALUES ('Bo\\'s', '2', 8, '2099-01-01')",
    "INSERT INTO stars VALUES ('ann', '2', 9, '1999-01-01')",
    "INSERT INTO stars VALUES (' ann', '2', 4, NULL), ('nobody', '1', 5, '2026-01-01')",
    "DELETE FROM stars WHERE reader = 'cleo '",
    "UPDATE stars SET reader = 'CLEO' WHERE reader = 'cleo '",
    "INSERT IGNORE INTO readers VALUES ('50% / neü', 'Pisa', 'n@x'), ('CLEO', NULL, 'C@x')",
    "INSERT INTO stars VALUES ('50% / neü', '2', 4, '2026-03-01')",
    "UPDATE readers SET home_town = 'Bergen' WHERE reader_id = ' ann'",
    "DELETE FROM readers WHERE reader_id = 'cleo'",
    "UPDATE books SET pages = 7 WHERE isbn = '2'",
    "UPDATE books SET picture = 'new.png', price = 1.5 WHERE isbn = '1'",
    "DELETE FROM books WHERE isbn = '1'",
    "INSERT IGNORE INTO books VALUES ('3', 'Three', 'love', 3, NULL, 3)",
    "INSERT INTO stars VALUES ('ann', '3', 4, '2026-03-01')",
    "ALTER IGNORE TABLE books MODIFY pages INT",
)
"""Changes in SQL. Between two runs, each may happen in any order and number."""


def by_pair(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    pairs = {(row.get("reader_id", ""), row["isbn"]): row for row in rows}
    assert len(pairs) == len(rows), "a pair came twice"
    return pairs


def full_run(spark: SparkSession, login: Login, dataset: str, folder: Path) -> list[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shops.run(spark, login, dataset, folder)
    return shops.rows(folder, "books-ml")


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a run takes seconds: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    first=st.lists(st.sampled_from(CHANGES), max_size=4, unique=True),
    second=st.lists(st.sampled_from(CHANGES), max_size=4, unique=True),
    datasets=st.lists(st.sampled_from([BUCKETS, FOLDERS, TIMELESS]), min_size=2, max_size=2),
)
def test_an_incremental_run_gives_what_a_full_run_gives_whatever_has_changed(
    spark: SparkSession,
    shop_database: Login,
    tmp_path_factory: pytest.TempPathFactory,
    first: list[str],
    second: list[str],
    datasets: list[str],
) -> None:
    lake, folder = tmp_path_factory.mktemp("lake"), tmp_path_factory.mktemp("full")
    execute(shop_database, ["DROP TABLE IF EXISTS readers, books, stars"])
    shops.make_books(shop_database, *SHOP, "ALTER TABLE readers MODIFY reader_id VARCHAR(20) COLLATE utf8mb4_bin")
    shops.run(spark, shop_database, datasets[0], lake, only_changed=True)
    for changes, dataset in ((first, datasets[0]), (second, datasets[1])):
        execute(shop_database, ["DO 0", *(change for change in CHANGES if change in changes)])
        try:
            expected = full_run(spark, shop_database, dataset, folder)
        except shops.ratings_etl.quality.QualityError:  # nothing is left
            return
        shops.run(spark, shop_database, dataset, lake, only_changed=True)
        assert by_pair(shops.rows(lake, "books-ml")) == by_pair(expected)
        assert shops.marker(lake, "books-ml").rows == len(expected)
        assert shops.items(lake, "books-ml") == shops.items(folder, "books-ml")


def test_partitions_in_which_nothing_changed_keep_their_files_and_a_rating_from_the_future_hides_none(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database, *SHOP, "INSERT INTO stars VALUES ('ann', '1', 2, '2099-01-01')")
    shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    before = set(shops.marker(lake, "books-ml").files)
    shown_only = "UPDATE books SET picture = 'new.png', price = price + 1"
    execute(shop_database, ["INSERT INTO stars VALUES ('Bo\\'s', '2', 8, '2026-05-01')", shown_only])
    report = shops.run(spark, shop_database, FOLDERS, lake, only_changed=True)
    after = set(shops.marker(lake, "books-ml").files)
    assert {file.split("/")[0] for file in before & after} == {"reader_id=ann", "reader_id=cleo"}
    assert {row["picture"] for row in shops.items(lake, "books-ml")} == {"new.png"}
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
