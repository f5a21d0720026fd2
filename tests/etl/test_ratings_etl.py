"""The ETL on real Spark and a real MariaDB: any shop's schema, the gate, replacement."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts import dataset_file
from contracts.attributes import MAX_TEXT_CHARACTERS
from contracts.dataset import Quality
from contracts.dataset_file import DatasetError
from contracts.mysql import Login
from etl.quality import QualityError
from tests.databases import execute
from tests.etl import shops

SHOP = (
    "INSERT INTO readers VALUES (' ann', ' Oslo\t', 'a@x'), ('Bo\\'s', NULL, 'b@x'), ('cleo', 'Rome', 'c@x')",
    "INSERT INTO books VALUES ('1', 'One', 'crime|love', 5000000000, 'covers/1.png', 9.50),"
    " ('2', 'Two', NULL, NULL, '', 1)",
    "INSERT INTO stars VALUES ('ann', '1', 7.5, '2026-01-01 10:00:00'), ('ann', '2', 3, '2026-01-02 10:00:00.5'),"
    " ('Bo\\'s', '1', 10, '2025-12-01'), ('cleo ', '2', 0, '2026-01-04')",
)


def test_another_shops_schema_needs_only_another_dataset_file(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, shops.BOOKS, lake)
    rows = {(row["reader_id"], row["isbn"]): row for row in shops.rows(lake, "books-ml")}
    assert set(rows) == {("ann", "1"), ("ann", "2"), ("Bo's", "1"), ("cleo", "2")}
    first = rows["ann", "1"]
    assert {key: value for key, value in first.items() if key not in ("bucket", "scored_at")} == {
        "reader_id": "ann", "home_town": "Oslo", "isbn": "1", "genres": "crime|love", "pages": 5000000000, "score": 7.5,
    }  # fmt: skip
    assert first["scored_at"].replace(tzinfo=None) == datetime(2026, 1, 1, 10)
    assert rows["Bo's", "1"]["home_town"] is None
    assert {int(row["bucket"]) for row in rows.values()} <= {0, 1, 2}
    assert not shops.quarantined(lake)


def test_what_is_shown_of_items_is_in_their_catalogue_alone(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    too_long = f"UPDATE books SET picture = REPEAT('x', {MAX_TEXT_CHARACTERS + 1}), price = NULL WHERE isbn = '2'"
    shops.make_books(shop_database, *SHOP, too_long)
    shops.run(spark, shop_database, shops.BOOKS, lake)
    assert {(row["title"], row["picture"], row["Price"]) for row in shops.items(lake, "books-ml")} == {
        ("One", "covers/1.png", 9.5), ("Two", None, None),
    }  # fmt: skip
    assert not {"title", "picture", "Price"} & set(shops.rows(lake, "books-ml")[0])
    with pytest.raises(DatasetError, match=r"items\.display\.cover: books has no column front; it has"):
        shops.run(spark, shop_database, shops.BOOKS.replace('"picture"', '"front"'), lake)


def test_rejected_rows_lie_in_quarantine_each_with_its_reason(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(
        shop_database,
        *SHOP,
        "INSERT INTO books (isbn, title, pages) VALUES (' ', 'no key', 1)",
        "INSERT INTO stars VALUES (NULL, '1', 1, '2026-01-01'), ('ann', NULL, 1, '2026-01-01'),"
        " ('ann', '1', NULL, '2026-01-01'), ('ann', '1', 10.5, '2026-01-01'), ('ann', '1', -1, '2027-01-01'),"
        " ('ann', '1', 5, NULL), ('nobody', '1', 5, '2026-01-01'), ('ann', '9', 5, '2026-01-01'),"
        " ('ann', '1', 2, '2025-01-01'), ('ann', '1', 9, '2026-02-01')",
    )
    lenient = shops.BOOKS + "[quality]\nmax_rejected = 1.0\n"
    report = shops.run(spark, shop_database, lenient, lake)
    assert {count.role: dict(count.rejected) for count in report.tables} == {
        "users": {},
        "items": {"key missing": 1},
        "ratings": {
            "user missing": 1, "item missing": 1, "rating missing or no number": 1, "rating not in scale": 2,
            "time missing": 1, "user unknown": 1, "item unknown": 1, "superseded by a later rating": 2,
        },
    }  # fmt: skip
    assert [
        row["score"] for row in shops.rows(lake, "books-ml") if (row["reader_id"], row["isbn"]) == ("ann", "1")
    ] == [9]
    bad = shops.quarantined(lake)["ratings"]
    assert len(bad) == 10
    assert {row.get("reader_id") for row in bad if row["reason"] == "user unknown"} == {"nobody"}


def test_a_run_that_fails_the_gate_says_why_and_leaves_the_old_data_served(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, shops.BOOKS, lake)
    before, served = shops.marker(lake, "books-ml"), shops.rows(lake, "books-ml")
    execute(shop_database, ["UPDATE stars SET score = 11 WHERE book = '1'"])
    with pytest.raises(QualityError, match=r"stars: expected at most 5.0% .* found 50.0% of 4 .*not in scale: 2"):
        shops.run(spark, shop_database, shops.BOOKS, lake)
    assert shops.marker(lake, "books-ml") == before
    assert shops.rows(lake, "books-ml") == served
    assert [row["reason"] for row in shops.quarantined(lake)["ratings"]] == ["rating not in scale"] * 2
    reports = [json.loads(path.read_text()) for path in sorted(lake.glob("quality/*/report.json"))]
    assert [report["passed"] for report in reports].count(False) == 1
    pages = [path.read_text() for path in lake.glob("quality/*/report.html")]
    assert len(pages) == 2
    assert any("stay as they were" in page and "rating not in scale: 2" in page for page in pages)


def test_a_collapsed_row_count_and_an_empty_shop_fail_the_gate(
    spark: SparkSession, shop_database: Login, lake: Path
) -> None:
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, shops.BOOKS, lake)
    execute(shop_database, ["DELETE FROM stars WHERE reader <> 'cleo '"])
    with pytest.raises(QualityError, match=r"at least 50% of the last run's 4 rows, found 1"):
        shops.run(spark, shop_database, shops.BOOKS, lake)
    shops.run(spark, shop_database, shops.BOOKS + "[quality]\nmin_rows = 0.25\n", lake)
    execute(shop_database, ["DELETE FROM stars"])
    with pytest.raises(QualityError, match="expected ratings, found none"):
        shops.run(spark, shop_database, shops.BOOKS + "[quality]\nmin_rows = 0\n", lake)
    assert shops.marker(lake, "books-ml").rows == 1


def test_a_key_that_is_there_twice_is_not_guessed_at(spark: SparkSession, shop_database: Login, lake: Path) -> None:
    shops.make_books(shop_database, "ALTER TABLE readers DROP PRIMARY KEY", *SHOP, SHOP[0].replace("Oslo", "Bergen"))
    execute(shop_database, ["DELETE FROM readers WHERE reader_id IN ('cleo') LIMIT 1"])
    with pytest.raises(QualityError) as raised:
        shops.run(spark, shop_database, shops.BOOKS, lake)
    assert "readers: expected at most 5.0% of the rows rejected, found 80.0% of 5 (key not unique: 4)" in str(
        raised.value
    )
    assert "stars:" in str(raised.value)


def test_a_job_killed_before_the_switch_leaves_the_old_data_and_the_next_run_cleans_up(
    spark: SparkSession, shop_database: Login, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.make_books(shop_database, *SHOP)
    shops.run(spark, shop_database, shops.BOOKS, lake)
    served = shops.rows(lake, "books-ml")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def files() -> set[str]:
        return {path.relative_to(lake / "books-ml").as_posix() for path in (lake / "books-ml").rglob("*.parquet")}

    with monkeypatch.context() as patch:
        patch.setattr("etl.lake.SuccessMarker", killed)
        with pytest.raises(KeyboardInterrupt):
            shops.run(spark, shop_database, shops.BOOKS, lake)
    assert shops.rows(lake, "books-ml") == served
    assert files() > set(shops.marker(lake, "books-ml").files), "the killed run wrote nothing: the test shows nothing"
    shops.run(spark, shop_database, shops.BOOKS, lake)
    assert files() == set(shops.marker(lake, "books-ml").files)


def test_a_dataset_file_that_is_missing_or_wrong_is_an_error_that_names_it(spark: SparkSession, lake: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.toml: expected a dataset specification, found no file"):
        shops.ratings_etl.load_dataset(spark, (lake / "nowhere.toml").as_uri())


def test_the_gates_thresholds_are_checked_and_travel_with_the_specification() -> None:
    spec = dataset_file.parse(shops.BOOKS + "[quality]\nmax_rejected = 0.25\n")
    assert (spec.quality.max_rejected, spec.quality.min_rows) == (0.25, Quality().min_rows)
    assert dataset_file.from_dict(spec.to_dict()) == spec
    with pytest.raises(DatasetError) as raised:
        dataset_file.parse(shops.BOOKS + "[quality]\nmax_rejected = 5\nmin_rows = true\nmax_row = 1\n")
    for mistake in (
        "quality.max_rejected: expected a share from 0 to 1, found 5",
        "quality.min_rows: expected a share from 0 to 1, found True",
        "quality.max_row: expected one of max_rejected, min_rows",
    ):
        assert mistake in str(raised.value)
