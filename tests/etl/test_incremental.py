"""Incremental runs: what a full run would have given, with the other partitions' files untouched."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from contracts.dataset import DatasetError
from local.shop import Login
from tests.databases import execute
from tests.etl import shops
from tests.etl.test_ratings_etl import SHOP

FOLDERS = shops.BOOKS.replace("buckets = 3", "")
CHANGES = (
    "UPDATE stars SET score = 1, scored_at = '2026-03-01' WHERE reader = 'ann' AND book = '1'",
    "INSERT INTO readers VALUES ('50% / new', 'Pisa', 'n@x')",
    "INSERT INTO stars VALUES ('50% / new', '2', 4, '2026-03-01'), (' ann', '2', 8, '2026-03-02')",
)


def by_pair(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    pairs = {(row.get("reader_id", ""), row["isbn"]): row for row in rows}
    assert len(pairs) == len(rows), "a pair came twice"
    return pairs


@pytest.mark.parametrize("dataset", [shops.BOOKS, FOLDERS], ids=["buckets", "a folder a user"])
def test_an_incremental_run_gives_what_a_full_run_gives(
    spark: SparkSession, shop_database: Login, lake: Path, tmp_path: Path, dataset: str
) -> None:
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, dataset, lake, only_changed=True)
    before = set(shops.marker(lake, "books-ml").files)
    execute(shop_database, CHANGES)
    shops.run(spark, shop_database, dataset, lake, only_changed=True)
    after = set(shops.marker(lake, "books-ml").files)
    full = tmp_path / "full"
    full.mkdir()
    shops.run(spark, shop_database, dataset, full)
    expected = shops.rows(full, "books-ml")
    assert by_pair(shops.rows(lake, "books-ml")) == by_pair(expected)
    assert shops.marker(lake, "books-ml").rows == len(expected) == 5
    if dataset == FOLDERS:
        assert {file.split("/")[0] for file in before & after} == {"reader_id=Bo%27s"}


def test_a_user_whose_every_rating_is_now_rejected_leaves_the_training_data(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    lenient = FOLDERS + "[quality]\nmax_rejected = 1.0\n"
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, lenient, lake)
    execute(shop_database, ["UPDATE stars SET score = 99, scored_at = '2026-03-01' WHERE reader = 'cleo '"])
    shops.run(spark, shop_database, lenient, lake, only_changed=True)
    assert {row["reader_id"] for row in shops.rows(lake, "books-ml")} == {"ann", "Bo%27s"}
    assert shops.marker(lake, "books-ml").rows == 3


def test_without_a_time_column_an_incremental_run_is_refused(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    timeless = FOLDERS.replace('time = "scored_at"\n', "")
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, timeless, lake, only_changed=True)
    with pytest.raises(DatasetError, match=r"needs ratings\.time"):
        shops.run(spark, shop_database, timeless, lake, only_changed=True)
