"""Reads the training data of the data lake into arrays: users, items and the ratings between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import features
from contracts.dataset import Dataset
from contracts.training_data import SUCCESS_MARKER, SuccessMarker, items_folder
from training import numbers
from training.entities import ColumnReader, EntityTable, is_dated, row_numbers
from training.errors import TrainingError
from training.folders import folder
from training.lake_files import read_files, success_marker

DAY = 86_400 * 1e6
"""A day in microseconds, the unit of moments."""


@dataclass(frozen=True)
class RatingData:
    """Ratings as parallel arrays, sorted by user, then oldest first (without a time: lowest rating first), then at
    random.

    `user` and `item` (n,) index `users.ids` and `items.ids`. `rating` (n,) is on the dataset's scale, 1 for a purchase.
    A user and an item have at most one rating, the last. Each user has a rating; an item may have none.
    """

    dataset: Dataset
    users: EntityTable
    items: EntityTable
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    rating: npt.NDArray[np.float64]
    time: npt.NDArray[np.float64] | None
    dated: bool = False
    """True if `time` is in microseconds since 1970. A time column of numbers gives an order, but its unit is
    unknown."""
    notes: tuple[str, ...] = ()
    """A line for each column whose values were not all used as they are."""

    @property
    def liked(self) -> npt.NDArray[np.bool_]:
        return self.rating >= self.dataset.ratings.liked

    @property
    def looked_at(self) -> npt.NDArray[np.bool_]:
        """The ratings of a user's history (n,): all if they have a time, since any rating says what the user looks at,
        and in which order; without a time only liked ones."""
        return self.liked if self.time is None else np.ones(len(self.user), dtype=bool)


def load(data: str, dataset: Dataset) -> RatingData:
    """Reads `<data>/<dataset.name>/`. Raises `TrainingError` if it is missing, incomplete or not usable for
    training."""
    root = folder(data).child(dataset.name)
    marker = success_marker(root)
    ratings = read_files(root, marker.files, _wanted(dataset))
    if len(ratings) != marker.rows:
        raise TrainingError(
            f"{root}: expected {marker.rows} rows as {SUCCESS_MARKER} says, found {len(ratings)}: run the ETL job again"
        )
    items = None
    if marker.items:
        catalogue = folder(data).child(items_folder(dataset.name))
        items = read_files(catalogue, marker.items, _names(dataset, "items"), tuple(_only_shown(dataset)))
    return from_table(ratings, dataset, str(root), items, _day(marker))


def from_table(
    table: pa.Table, dataset: Dataset, source: str, items_table: pa.Table | None = None, today: date | None = None
) -> RatingData:
    """Builds the arrays from a table with a row for each rating, and one with a row for each item (default: the items
    with a rating).

    Ages are computed at `today`. Raises `TrainingError` naming `source` and the column.
    """
    names, today = dataset.training_names, today or datetime.now(UTC).date()
    ratings = dataset.ratings
    rating = np.ones(len(table))
    if ratings.rating:
        rating = row_numbers(table, names["ratings", ratings.rating], source, may_miss=False)
    time = row_numbers(table, names["ratings", ratings.time], source, may_miss=False) if ratings.time else None
    _check_days(table, dataset, source)
    columns = ColumnReader(dataset, source, today)
    users, user = columns.entity("users", dataset.users, table)
    rated = table.select(_names(dataset, "items"))
    if items_table is not None:  # it comes last, so its rows are the ones that count
        rated = pa.concat_tables([rated, items_table], promote_options="permissive")
    items, item = columns.entity("items", dataset.items, rated)
    item = item[: len(table)]
    order = np.lexsort((_lots(user, item, rating), rating if time is None else time, user))
    pairs = (user * len(items) + item)[order]
    last = np.ones(len(pairs), dtype=bool)  # of several ratings of an item by a user
    by_pair = np.lexsort((np.arange(len(pairs)), pairs))
    last[by_pair[:-1][pairs[by_pair[:-1]] == pairs[by_pair[1:]]]] = False
    order = order[last]
    data = RatingData(
        dataset,
        users,
        items,
        user[order],
        item[order],
        rating[order],
        None if time is None else time[order],
        ratings.time is not None and is_dated(table[names["ratings", ratings.time]]),
        (*_notes(columns, users, items), *_not_shown(dataset, items_table)),
    )
    _check_learnable(data, source)
    return data


def _lots(user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], rating: npt.NDArray[np.float64]) -> Any:
    """Returns (n,): the order of ratings with the same time, which is random, but the same for any order of the rows.

    A model would learn an order by item, and get better figures for it, although no customer follows that order.
    """
    lots = np.empty(len(user), dtype=np.int64)
    lots[np.lexsort((rating, item, user))] = np.random.default_rng(0).permutation(len(user))
    return lots


def _day(marker: SuccessMarker) -> date | None:
    """Returns the day on which the data were read, with which a run's name begins."""
    try:
        return datetime.strptime(marker.run[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _names(dataset: Dataset, role: str) -> list[str]:
    """Returns the training data's columns of users or items."""
    return [name for (owner, _), name in dataset.training_names.items() if owner == role]


def _only_shown(dataset: Dataset) -> list[str]:
    """Returns the columns of the items' catalogue that are only shown. A catalogue that is older than `[items.display]`
    lacks them."""
    return [dataset.catalogue_names[column] for column in dataset.items.only_shown]


def _wanted(dataset: Dataset) -> list[str]:
    """Returns the columns of the training data that training reads: all but the quantity of purchases."""
    return [name for name in dataset.training_names.values() if name != dataset.quantity]


def _notes(columns: ColumnReader, users: EntityTable, items: EntityTable) -> tuple[str, ...]:
    notes = [
        f"{name}: {count} numbers cannot be meant (beyond {features.MAX_NUMBER:g}, or {numbers.FAR:g} times as far "
        "out as the others): read as missing"
        for name, count in columns.beyond.items()
    ]
    names = columns.dataset.training_names
    for role, entity, table in (("users", columns.dataset.users, users), ("items", columns.dataset.items, items)):
        for column in entity.features:
            if column.kind.is_number and table.ranges[column.name].constant:
                name = names[role, column.source or column.name]
                notes.append(f"{name}: 32-bit floats cannot tell its numbers apart: it says nothing")
    return tuple(notes)


def _not_shown(dataset: Dataset, items: pa.Table | None) -> Iterator[str]:
    for name in _only_shown(dataset):
        if items is not None and name not in items.column_names:
            yield f"{name}: not in the items' catalogue, so answers cannot show it: run the ETL job again"


def _check_days(table: pa.Table, dataset: Dataset, source: str) -> None:
    """Raises `TrainingError` for `exclude_days` with a time that is a number, since its unit is unknown."""
    if dataset.serving.exclude_days is None or not dataset.ratings.time:
        return
    column = table[dataset.training_names["ratings", dataset.ratings.time]]
    if not pa.types.is_temporal(column.type):
        raise TrainingError(
            f"{source}: {dataset.ratings.time}: expected a date or time, for serving.exclude_days, found {column.type}"
        )


def _check_learnable(data: RatingData, source: str) -> None:
    ratings = data.dataset.ratings
    if len(data.user) == 0:
        raise TrainingError(f"{source}: expected ratings, found no row")
    for what, table in (("users", data.users), ("items", data.items)):
        if len(table) < 2:
            raise TrainingError(f"{source}: expected ratings of 2 or more {what}, found {len(table)}")
    if data.rating.min() == data.rating.max() and ratings.liked > ratings.scale[0]:
        raise TrainingError(
            f"{source}: {ratings.rating}: expected ratings that differ, found {data.rating[0]:g} in every row: "
            "nothing says what is liked (where every row is a purchase, set ratings.liked to the scale's lowest)"
        )
    if not data.liked.any():
        raise TrainingError(
            f"{source}: {ratings.rating}: expected ratings of {ratings.liked} or more (liked), "
            f"found at most {data.rating.max():g}: lower ratings.liked in dataset.toml"
        )
