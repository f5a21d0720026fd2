"""Users and items, with their columns in the types that the model reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts import features
from contracts.columns import Column
from contracts.dataset import Dataset, Entity
from training import numbers
from training.errors import TrainingError


@dataclass(frozen=True)
class EntityTable:
    """Users or items, sorted by id.

    `columns` has a value for each id: text ("" missing), float (NaN missing) or a tuple of tags. A date is there as
    text, and each of its parts.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, npt.NDArray[Any]]
    ranges: Mapping[str, numbers.Range]
    """Numeric column → its range and scale, computed from all of its numbers, also those that are missing in
    `columns`."""
    rows: pa.Table = field(default_factory=lambda: pa.table({}))
    """A row for each id, as the data lake has it; of items also the columns that are only shown."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ColumnReader:
    """Reads the columns of a table, and counts the outliers."""

    dataset: Dataset
    source: str
    today: date
    beyond: dict[str, int] = field(default_factory=dict)
    """Column of the training data → the number of users or items with an outlier there."""

    def entity(self, role: str, entity: Entity, table: pa.Table) -> tuple[EntityTable, npt.NDArray[np.int64]]:
        """Returns the distinct users or items, with the columns of their last rows, and each row's index into them."""
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
            values = column_values(rows, column, self.source, name, self.today)
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
    """Returns the count of numbers that are too large to be read."""
    if pa.types.is_floating(column.type):
        return int(pc.sum(pc.greater(pc.abs(column), features.MAX_NUMBER)).as_py() or 0)
    if pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
        return 0
    told = (features.parsed(value) for value in column.to_pylist() if value is not None)
    return sum(abs(value) > features.MAX_NUMBER for value in told)


def column_values(
    rows: pa.Table, column: Column, source: str, name: str = "", today: date | None = None
) -> npt.NDArray[Any]:
    """Returns a column's values, from the table's column `name` (default: the column's own name)."""
    name = name or column.source or column.name
    if column.kind.is_number and column.part is None:
        return row_numbers(rows, name, source, may_miss=True)
    # Arrow's cast would write numbers in another way than an event does.
    told = rows[name].to_pylist()
    values = np.empty(len(told), dtype=np.float64 if column.kind.is_number else object)
    values[:] = [features.value(column, value, today or datetime.now(UTC).date()) for value in told]
    return values


def row_numbers(table: pa.Table, name: str, source: str, *, may_miss: bool) -> npt.NDArray[np.float64]:
    """Returns a column's numbers, and times in microseconds. A missing one is NaN, or an error unless `may_miss`."""
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
    """Returns a feature's numbers as `contracts.features` reads them; the floats that the ETL writes need no
    conversion."""
    if pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
        return column
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.less_equal(pc.abs(column), features.MAX_NUMBER), column, None)
    return pa.chunked_array([pa.array(map(features.number, column.to_pylist()), pa.float64())])


def is_dated(column: pa.ChunkedArray) -> bool:
    """True if the column has times, and not numbers."""
    return pa.types.is_temporal(column.type) or (pa.types.is_string(column.type) and not _all_numbers(column))


def _all_numbers(column: pa.ChunkedArray) -> bool:
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
