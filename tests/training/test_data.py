"""Reading the training data, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.training_data import SUCCESS_MARKER
from tests.training import worlds
from training import data as training_data
from training.errors import TrainingError


@pytest.fixture(scope="module")
def views() -> pa.Table:
    return worlds.films(n_users=20, n_films=40, mean=12)


def test_buckets_and_a_folder_a_user_give_the_same_data_in_whatever_order_files_come(
    views: pa.Table, tmp_path: Path
) -> None:
    shuffled = views.take(np.random.default_rng(1).permutation(len(views)))
    by_bucket = training_data.load(str(worlds.write(views, worlds.FILMS, tmp_path / "a")), worlds.FILMS)
    a_folder_each = replace(worlds.FILMS, buckets=0)
    by_user = training_data.load(str(worlds.write(shuffled, a_folder_each, tmp_path / "b")), a_folder_each)
    assert by_bucket.users.ids == by_user.users.ids
    assert by_bucket.items.ids == by_user.items.ids
    for name in ("user", "item", "rating", "time"):
        assert np.array_equal(getattr(by_bucket, name), getattr(by_user, name)), name
    assert by_bucket.items.columns["genres"][0]
    assert all(isinstance(tags, tuple) for tags in by_bucket.items.columns["genres"])


def test_ratings_are_sorted_by_time_within_a_user(views: pa.Table) -> None:
    data = training_data.from_table(views, worlds.FILMS, "views")
    assert data.time is not None
    same_user = np.diff(data.user) == 0
    assert (np.diff(data.user) >= 0).all()
    assert (np.diff(data.time)[same_user] >= 0).all()


def test_ratings_of_one_time_are_in_an_order_by_lot_that_no_row_order_and_no_item_key_decides(views: pa.Table) -> None:
    at_once = views.set_column(
        views.column_names.index("seen_at"), "seen_at", pa.array([1_000_000_000] * len(views), pa.timestamp("s"))
    )
    shuffled = at_once.take(np.random.default_rng(1).permutation(len(views)))
    data, again = (training_data.from_table(table, worlds.FILMS, "views") for table in (at_once, shuffled))
    assert np.array_equal(data.item, again.item)
    steps = np.diff(data.item)[np.diff(data.user) == 0]
    assert 0.4 < (steps > 0).mean() < 0.6


def test_of_several_ratings_of_an_item_the_last_counts(views: pa.Table) -> None:
    again = views.slice(0, 1).set_column(views.column_names.index("stars"), "stars", pa.array([1]))
    again = again.set_column(
        views.column_names.index("seen_at"), "seen_at", pa.array([2_000_000_000], pa.timestamp("s"))
    )
    data = training_data.from_table(pa.concat_tables([again, views]), worlds.FILMS, "views")
    assert len(data.user) == len(views)
    user, item = data.users.ids.index(views["viewer"][0].as_py()), data.items.ids.index(str(views["film"][0]))
    assert data.rating[(data.user == user) & (data.item == item)].tolist() == [1.0]


def test_files_that_the_marker_does_not_list_are_not_read(views: pa.Table, tmp_path: Path) -> None:
    root = worlds.write(views, worlds.FILMS, tmp_path)
    (root / worlds.FILMS.name / "bucket=0" / "leftover.parquet").write_bytes(b"of a killed run")
    assert len(training_data.load(str(root), worlds.FILMS).user) == len(views)


def without_marker(root: Path) -> None:
    (root / SUCCESS_MARKER).unlink()


def broken_marker(root: Path) -> None:
    (root / SUCCESS_MARKER).write_text("{}")


def missing_file(root: Path) -> None:
    next(root.rglob("*.parquet")).unlink()


def broken_file(root: Path) -> None:
    next(root.rglob("*.parquet")).write_bytes(b"PAR1 not really")


def fewer_rows(root: Path) -> None:
    marker = root / SUCCESS_MARKER
    marker.write_text(marker.read_text().replace('"rows": ', '"rows": 9'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_marker, "expected training data with a _SUCCESS marker, found none"),
        (broken_marker, "expected JSON with run, rows and files"),
        (missing_file, "listed by _SUCCESS, but not there"),
        (broken_file, "not a Parquet file"),
        (fewer_rows, r"expected 9\d+ rows as _SUCCESS says, found \d+"),
    ],
)
def test_data_that_is_not_whole_is_refused(
    views: pa.Table, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    root = worlds.write(views, worlds.FILMS, tmp_path)
    damage(root / worlds.FILMS.name)
    with pytest.raises(TrainingError, match=message):
        training_data.load(str(root), worlds.FILMS)


def test_a_missing_column_is_named(views: pa.Table, tmp_path: Path) -> None:
    root = worlds.write(views.drop_columns("year"), worlds.FILMS, tmp_path)
    with pytest.raises(TrainingError, match=r"bucket=\d/part-0.*not found: year"):
        training_data.load(str(root), worlds.FILMS)


def with_column(name: str, values: Callable[[int], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values(len(table))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.slice(0, 0), "expected ratings, found no row"),
        (with_column("viewer", lambda n: ["one"] * n), "2 or more users, found 1"),
        (with_column("film", lambda n: [1] * n), "2 or more items, found 1"),
        (with_column("stars", lambda n: [5] * n), "ratings that differ, found 5 in every row"),
        (with_column("stars", lambda n: [1 + k % 3 for k in range(n)]), "4 or more .*found at most 3"),
        (with_column("stars", lambda n: [None, float("nan"), *[4.0] * (n - 2)]), "stars: .*found 2 missing or NaN"),
        (with_column("stars", lambda n: ["five"] * n), "stars: expected numbers"),
        (with_column("seen_at", lambda n: [None] * n), r"seen_at: .*found \d+ missing"),
        (with_column("film", lambda n: [None, *range(n - 1)]), "film: expected a key in every row, found 1 empty"),
    ],
)
def test_data_that_cannot_be_learned_is_refused_by_name(
    views: pa.Table, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        training_data.from_table(change(views), worlds.FILMS, "views")
