"""Reading the training data, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts import artifacts as contract
from contracts import dataset_file
from contracts.training_data import SUCCESS_MARKER, items_folder, read_marker
from functions.shared.serving.tower import UserTower
from local.training_stage import Trained
from tests.training import worlds
from training import artifact_writer, pipeline
from training import data as training_data
from training.errors import TrainingError
from training.fit import Settings


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
    bucket = next((root / worlds.FILMS.name).glob("bucket=*"))
    (bucket / "leftover.parquet").write_bytes(b"of a killed run")
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


PURCHASES = dataset_file.parse("""
[users]
table = "customer"
key = "id"
[users.columns]
status = "categorical"
born = "date"
[items]
table = "track"
key = "id"
key_type = "integer"
[items.columns]
status = "boolean"
"Unit. Price" = "numeric"
[ratings]
table = "line"
user = "customer"
item = "track"
time = "bought"
[event.features]
birthday = "born"
""")


def purchases(n_users: int, tracks_each: int, n_tracks: int = 12) -> tuple[pa.Table, pa.Table]:
    """Makes a music shop's training data as the ETL does: a row for each purchase, and all tracks; the last is never
    bought."""
    tracks = {n: {"items_id": n, "items_status": str(n % 2), "Unit__Price": n / 4} for n in range(n_tracks)}
    born = [date(1990, 5, 1), None]
    rows = [
        {"users_id": f"u{user}", "users_status": "new", "born": born[user % 2], **tracks[(user + k) % (n_tracks - 1)]}
        | {"bought": datetime(2026, 1, 1 + k, tzinfo=UTC), "quantity": 2.0}
        for user in range(n_users)
        for k in range(tracks_each)
    ]
    return pa.Table.from_pylist(rows), pa.Table.from_pylist(list(tracks.values()))


def test_purchases_are_liked_and_items_that_nobody_bought_are_in_the_catalogue(tmp_path: Path) -> None:
    table, tracks = purchases(6, 4)
    spec = replace(PURCHASES, buckets=2, items=replace(PURCHASES.items, display={"title": "title"}))
    root = worlds.write(table, spec, tmp_path)
    folder = root / items_folder(spec.name)
    folder.mkdir()
    pq.write_table(tracks.set_column(2, "Unit__Price", pa.array([9.0] * len(tracks))), folder / "part-0.parquet")
    marker = root / spec.name / SUCCESS_MARKER
    written = read_marker(marker.read_text())
    marker.write_text(replace(written, run="20260501T000000Z-0", items=("part-0.parquet",)).to_json())
    data = training_data.load(str(root), spec)
    assert data.liked.all()
    assert len(data.user) == len(table)
    assert data.items.ids == tuple(sorted(map(str, range(12))))
    assert "11" not in {data.items.ids[item] for item in data.item}
    assert set(data.items.columns["Unit. Price"]) == {9.0}, "the items' own table has the latest values"
    assert data.notes == ("title: not in the items' catalogue, so answers cannot show it: run the ETL job again",)
    columns = data.users.columns
    assert (columns["born"][0], columns["born.year"][0], columns["born.month"][0]) == ("1990-05-01", "1990", "5")
    assert (columns["born.weekday"][0], columns["born.weekday"][1]) == ("2", "")
    assert columns["born.age"][0] == pytest.approx(36.0, abs=0.01)
    assert np.isnan(columns["born.age"][1])


@pytest.mark.parametrize(("n_users", "tracks_each"), [(30, 1), (4, 2), (4, 6)])
def test_a_shop_too_small_to_be_measured_is_trained_reported_and_refused_in_a_sentence(
    tmp_path: Path, n_users: int, tracks_each: int
) -> None:
    table, tracks = purchases(n_users, tracks_each)
    data = training_data.from_table(table, PURCHASES, "shop", tracks)
    trained = pipeline.train(data, Settings(epochs=2))
    artifact_writer.write(trained, tmp_path)
    assert not trained.metrics["gate"]["passed"]
    report = (tmp_path / "report.html").read_text()
    assert f"{len(data.user)} ratings by {n_users} users of 12 items" in report
    assert Trained("v", tmp_path, {**trained.metrics, "recommendable": 1}).describe()


def test_a_date_of_an_event_is_read_as_training_read_it(tmp_path: Path) -> None:
    data = training_data.from_table(purchases(8, 3)[0], PURCHASES, "shop")
    manifest = artifact_writer.write(pipeline.train(data, Settings(epochs=1)), tmp_path)
    tower = UserTower((tmp_path / contract.USER_TOWER).read_bytes(), PURCHASES)
    events = [{"birthday": "1990-05-01"}, {"birthday": "1990-05-01T10:00:00Z"}, {"birthday": "May"}, {}]
    assert [tower.has_features(event) for event in events] == [True, True, False, False]
    nothing = np.empty((0, manifest.dim), dtype=np.float32)
    born, with_time, wrong, none = tower.vectors(events, [nothing] * len(events))
    assert np.array_equal(born, with_time)
    assert np.array_equal(wrong, none)
    assert not np.allclose(born, none)
