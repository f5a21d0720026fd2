"""Reads the training data of the data lake into arrays: users, items and the ratings between them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts import features
from contracts.columns import Column
from contracts.dataset import Dataset, Entity
from contracts.training_data import SUCCESS_MARKER, SuccessMarker, items_folder, read_marker
from training import numbers
from training.errors import TrainingError
from training.folders import Folder, folder

DAY = 86_400 * 1e6
"""A day in microseconds, the unit of moments."""
READERS = 16
"""Files read at once: over S3 a read is mostly waiting."""


@dataclass(frozen=True)
class EntityTable:
    """Users or items, sorted by id. `columns` holds a value for each id: text ("" missing), float (NaN missing) or
    a tuple of tags; a date is there as text and by its parts."""

    ids: tuple[str, ...]
    columns: Mapping[str, npt.NDArray[Any]]
    ranges: Mapping[str, numbers.Range]
    """Numeric column → how its numbers are read. It is told by all of them, those too that are missing in `columns`."""
    rows: pa.Table = field(default_factory=lambda: pa.table({}))
    """A row for each id, as the data lake has it; of items also the columns that are only shown."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class RatingData:
    """Ratings as parallel arrays, sorted by user, then oldest first (no time: lowest rating first), then by lot.

    `user` and `item` (n,) index `users.ids` and `items.ids`; `rating` (n,) is on the dataset's scale, 1 for a purchase;
    at most one rating for a user and an item: the last. Users have a rating, items need not.
    """

    dataset: Dataset
    users: EntityTable
    items: EntityTable
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    rating: npt.NDArray[np.float64]
    time: npt.NDArray[np.float64] | None
    dated: bool = False
    """True if `time` is in microseconds since 1970; a column of numbers has an order, of a unit that nobody knows."""
    notes: tuple[str, ...] = ()
    """Columns that were read otherwise than they are written, a line for each."""

    @property
    def liked(self) -> npt.NDArray[np.bool_]:
        return self.rating >= self.dataset.ratings.liked

    @property
    def looked_at(self) -> npt.NDArray[np.bool_]:
        """Ratings that make up a user's history: all where they have a time, for what people rate at all says what they
        look at, and what they look at next. Without a time there is no path to follow, and only likes tell a taste."""
        return self.liked if self.time is None else np.ones(len(self.user), dtype=bool)


def load(data: str, dataset: Dataset) -> RatingData:
    """Reads `<data>/<dataset.name>/`. Raises `TrainingError` where it is not there, not whole or cannot be learned."""
    root = folder(data).child(dataset.name)
    marker = _read_marker(root)
    ratings = _read_files(root, marker.files, _wanted(dataset))
    if len(ratings) != marker.rows:
        raise TrainingError(
            f"{root}: expected {marker.rows} rows as {SUCCESS_MARKER} says, found {len(ratings)}: run the ETL job again"
        )
    items = None
    if marker.items:
        catalogue = folder(data).child(items_folder(dataset.name))
        items = _read_files(catalogue, marker.items, _names(dataset, "items"), tuple(_only_shown(dataset)))
    return from_table(ratings, dataset, str(root), items, _day(marker))


def from_table(
    table: pa.Table, dataset: Dataset, source: str, items_table: pa.Table | None = None, today: date | None = None
) -> RatingData:
    """Builds the arrays of a table with one row a rating, and one of all items (not given: those with a rating).

    Ages count up to `today`. Raises `TrainingError` naming `source` and the column.
    """
    names, today = dataset.training_names, today or datetime.now(UTC).date()
    ratings = dataset.ratings
    rating = np.ones(len(table))
    if ratings.rating:
        rating = _numbers(table, names["ratings", ratings.rating], source, may_miss=False)
    time = _numbers(table, names["ratings", ratings.time], source, may_miss=False) if ratings.time else None
    _check_days(table, dataset, source)
    columns = _Columns(dataset, source, today)
    users, user = columns.entity("users", dataset.users, table)
    rated = table.select(_names(dataset, "items"))
    if items_table is not None:  # it comes last, so it is its row that counts
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
        ratings.time is not None and _is_dated(table[names["ratings", ratings.time]]),
        (*_notes(columns, users, items), *_not_shown(dataset, items_table)),
    )
    _check_learnable(data, source)
    return data


def _lots(user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], rating: npt.NDArray[np.float64]) -> Any:
    """(n,) the order of ratings of the same time: by lot, the same lots whatever order the rows come in.

    An order by item would be one that a model learns, and is praised for, though no shop's customers follow it.
    """
    lots = np.empty(len(user), dtype=np.int64)
    lots[np.lexsort((rating, item, user))] = np.random.default_rng(0).permutation(len(user))
    return lots


def _read_marker(root: Folder) -> SuccessMarker:
    marker_text = root.read(SUCCESS_MARKER)
    if marker_text is None:
        raise TrainingError(
            f"{root}: expected training data with a {SUCCESS_MARKER} marker, found none: "
            "run the ETL job, or check --data and the dataset's output name"
        )
    try:
        return read_marker(marker_text.decode())
    except ValueError as error:
        raise TrainingError(f"{root}: {error}") from error


def _read_files(root: Folder, paths: Sequence[str], wanted: Sequence[str], if_there: Sequence[str] = ()) -> pa.Table:
    with ThreadPoolExecutor(READERS) as pool:
        tables = list(pool.map(lambda path: _read_file(root, path, wanted, if_there), paths))
    if not tables:
        raise TrainingError(f"{root}: expected ratings, found none ({SUCCESS_MARKER} lists no file)")
    return pa.concat_tables(tables, promote_options="permissive")


def _day(marker: SuccessMarker) -> date | None:
    """The day on which the data were read: a run's name begins with it."""
    try:
        return datetime.strptime(marker.run[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _read_file(root: Folder, path: str, wanted: Sequence[str], if_there: Sequence[str]) -> pa.Table:
    """One file, with the partition's column put back: Spark takes it out of the files, into the folder's name."""
    content = root.read(path)
    if content is None:
        raise TrainingError(f"{root}/{path}: listed by {SUCCESS_MARKER}, but not there: run the ETL job again")
    try:
        table = pq.read_table(BytesIO(content), partitioning=None)
    except pa.ArrowException as error:
        raise TrainingError(f"{root}/{path}: not a Parquet file: {error}") from error
    for part in path.split("/")[:-1]:
        key, _, value = part.partition("=")
        if key in wanted and key not in table.column_names:
            table = table.append_column(key, pa.array([unquote(value)] * len(table), pa.string()))
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise TrainingError(
            f"{root}/{path}: expected the columns {', '.join(wanted)}; not found: {', '.join(missing)}: "
            "run the ETL job with the same dataset.toml"
        )
    return table.select([*wanted, *(name for name in if_there if name in table.column_names)])


def _names(dataset: Dataset, role: str) -> list[str]:
    """The training data's columns of users or items."""
    return [name for (owner, _), name in dataset.training_names.items() if owner == role]


def _only_shown(dataset: Dataset) -> list[str]:
    """The items' catalogue's columns that are only shown; one that was written before they were named lacks them."""
    return [dataset.catalogue_names[column] for column in dataset.items.only_shown]


def _wanted(dataset: Dataset) -> list[str]:
    """All columns of the training data that training reads; of purchases it does not read how many."""
    return [name for name in dataset.training_names.values() if name != dataset.quantity]


@dataclass(frozen=True)
class _Columns:
    """Reads the columns of a table."""

    dataset: Dataset
    source: str
    today: date
    beyond: dict[str, int] = field(default_factory=dict)
    """Column of the training data → the distinct users or items whose number there cannot be meant."""

    def entity(self, role: str, entity: Entity, table: pa.Table) -> tuple[EntityTable, npt.NDArray[np.int64]]:
        """The distinct users or items, each with its last row's columns, and each row's index into them."""
        names = self.dataset.training_names
        keys = table[names[role, entity.key]]
        if keys.null_count:
            raise TrainingError(
                f"{self.source}: {entity.key}: expected a key in every row, found {keys.null_count} empty"
            )
        encoded = pc.dictionary_encode(keys.cast(pa.string())).combine_chunks()
        ids = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
        by_id = np.argsort(ids, kind="stable")
        rank = np.empty_like(by_id)
        rank[by_id] = np.arange(len(by_id))
        index = rank[encoded.indices.to_numpy(zero_copy_only=False)]
        last_row = np.zeros(len(ids), dtype=np.int64)
        np.maximum.at(last_row, index, np.arange(len(index)))
        rows = table.take(pa.array(last_row))
        columns: dict[str, npt.NDArray[Any]] = {}
        ranges: dict[str, numbers.Range] = {}
        for column in (*entity.columns, *entity.features):
            name = names[role, column.source or column.name]
            values = _values(rows, column, self.source, name, self.today)
            if column.kind.is_number:
                ranges[column.name] = numbers.range_of(values)
                values = self._without_far(values, ranges[column.name], rows[name], name)
            columns[column.name] = values
        return EntityTable(tuple(ids[by_id]), columns, ranges, rows), index

    def _without_far(
        self, values: numbers.Numbers, scale: numbers.Range, told: pa.ChunkedArray, name: str
    ) -> numbers.Numbers:
        near = numbers.without_far(values, scale)
        if beyond := int(np.isnan(near).sum() - np.isnan(values).sum()) + _beyond(told):
            self.beyond[name] = beyond
        return near


def _beyond(column: pa.ChunkedArray) -> int:
    """Returns how many numbers are too large to be read as numbers."""
    if pa.types.is_floating(column.type):
        return int(pc.sum(pc.greater(pc.abs(column), features.MAX_NUMBER)).as_py() or 0)
    if pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
        return 0
    told = (features.parsed(value) for value in column.to_pylist() if value is not None)
    return sum(abs(value) > features.MAX_NUMBER for value in told)


def _notes(columns: _Columns, users: EntityTable, items: EntityTable) -> tuple[str, ...]:
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


def _values(rows: pa.Table, column: Column, source: str, name: str = "", today: date | None = None) -> npt.NDArray[Any]:
    """A column's values, from the table's column `name`; not given, the column's own."""
    name = name or column.source or column.name
    if column.kind.is_number and column.part is None:
        return _numbers(rows, name, source, may_miss=True)
    # Not cast by Arrow, which writes numbers in a way of its own.
    told = rows[name].to_pylist()
    values = np.empty(len(told), dtype=np.float64 if column.kind.is_number else object)
    values[:] = [features.value(column, value, today or datetime.now(UTC).date()) for value in told]
    return values


def _numbers(table: pa.Table, name: str, source: str, *, may_miss: bool) -> npt.NDArray[np.float64]:
    column = table[name]
    if may_miss:
        column = _feature_numbers(column)
    try:
        if pa.types.is_string(column.type) and not may_miss and not _all_numbers(column):
            column = column.cast(pa.timestamp("us"))
        if pa.types.is_temporal(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
        values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    except pa.ArrowException as error:
        raise TrainingError(f"{source}: {name}: expected numbers or times, found {column.type}: {error}") from error
    bad = int((~np.isfinite(values)).sum())
    if bad and not may_miss:
        raise TrainingError(f"{source}: {name}: expected a number in every row, found {bad} missing or NaN")
    values[~np.isfinite(values)] = np.nan
    return values


def _feature_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A feature's numbers as `contracts.features` reads them; floats, which the ETL writes, as they are."""
    if pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
        return column
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.less_equal(pc.abs(column), features.MAX_NUMBER), column, None)
    return pa.chunked_array([pa.array(map(features.number, column.to_pylist()), pa.float64())])


def _is_dated(column: pa.ChunkedArray) -> bool:
    return pa.types.is_temporal(column.type) or (pa.types.is_string(column.type) and not _all_numbers(column))


def _all_numbers(column: pa.ChunkedArray) -> bool:
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


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
