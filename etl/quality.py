"""The blocking data-quality gate: counts rejected rows by reason, and decides whether the rest may replace the data.

The rules themselves are in `etl.tables`, derived from the dataset specification; here they are counted and judged.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType

from contracts.dataset import Dataset, Quality
from contracts.training_data import SuccessMarker
from etl.tables import NO_DEFECTS, REASON, VALUE, Tables, check_entity, check_ratings, entity_keys

PARQUET_VALUE_BYTES = 8
"""Bytes of a number, and the bytes that come with a text, in Parquet's plain encoding, which is the longest."""


class QualityError(Exception):
    """The data are not fit to replace the training data; the text has a line for each finding of the gate."""


@dataclass(frozen=True)
class TableCount:
    """The number of a table's rows: all that were read, and the rejected ones by reason."""

    role: str
    table: str
    rows: int
    rejected: Mapping[str, int]
    row_bytes: int
    """The most bytes that a row can take, uncompressed."""

    @property
    def accepted(self) -> int:
        return self.rows - sum(self.rejected.values())

    @property
    def rejected_share(self) -> float:
        """The share of rejected rows, 0 to 1. A superseded rating is history, not a defect."""
        return self.defects / self.rows if self.rows else 0.0

    @property
    def defects(self) -> int:
        return sum(count for reason, count in self.rejected.items() if reason not in NO_DEFECTS)


@dataclass(frozen=True)
class Report:
    """The findings of a run; `problems` is empty if the gate accepts the data."""

    run: str
    tables: tuple[TableCount, ...]
    last: SuccessMarker | None
    thresholds: Quality
    problems: tuple[str, ...]
    kept_rows: int = 0
    """Rows of training data that an incremental run keeps unchanged."""
    notes: tuple[str, ...] = ()
    """Messages about oddities in the data that do not stop the run."""

    @property
    def row_bytes(self) -> int:
        """The most bytes that a row of training data can take, uncompressed."""
        return sum(table.row_bytes for table in self.tables)

    @property
    def rows(self) -> int:
        """The rows of the training data: the accepted ratings and the kept rows."""
        return self.tables[-1].accepted + self.kept_rows

    def to_dict(self) -> dict[str, object]:
        return {
            "run": self.run,
            "passed": not self.problems,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "rows": self.rows,
            "kept_rows": self.kept_rows,
            "last_run": None if self.last is None else {"run": self.last.run, "rows": self.last.rows},
            "thresholds": asdict(self.thresholds),
            "tables": [
                {**asdict(table), "accepted": table.accepted, "rejected_share": table.rejected_share}
                for table in self.tables
            ],
        }


def check(loaded: Tables, dataset: Dataset) -> tuple[Tables, tuple[TableCount, ...]]:
    """Returns the tables with each row's reason to be rejected, and their counts. Each table is read once and
    persisted."""
    user, item = entity_keys(dataset)
    users, user_count = checked_entity(loaded.users, user, "users", dataset.users.label)
    items, item_count = checked_entity(loaded.items, item, "items", dataset.items.label)
    ratings, rating_count = checked_ratings(Tables(users, items, loaded.ratings), dataset)
    return Tables(users, items, ratings), (user_count, item_count, rating_count)


def checked_entity(typed: DataFrame, key: str, role: str, label: str) -> tuple[DataFrame, TableCount]:
    return _counted(check_entity(typed, key), role, label)


def checked_ratings(tables: Tables, dataset: Dataset) -> tuple[DataFrame, TableCount]:
    """Checks and counts the ratings; `users` and `items` of the tables are checked already."""
    return _counted(check_ratings(tables, dataset), "ratings", dataset.ratings.label)


def notes(checked: Tables, dataset: Dataset) -> tuple[str, ...]:
    """Returns a note with the number of ratings that are dated after tomorrow, if there are any."""
    if not dataset.ratings.time:
        return ()
    time = F.col(dataset.training_names["ratings", dataset.ratings.time])
    future = checked.ratings.where(F.col(REASON).isNull() & (time > F.current_timestamp() + F.expr("INTERVAL 1 DAY")))
    count = future.count()
    place = f"{dataset.ratings.label}.{dataset.ratings.time}"
    return (f"{place}: {count:,} rows are dated after tomorrow: they count as the users' latest",) if count else ()


def judge(
    run: str,
    counts: tuple[TableCount, ...],
    thresholds: Quality,
    last: SuccessMarker | None,
    kept_rows: int = 0,
    notes: tuple[str, ...] = (),
) -> Report:
    """Returns the gate's verdict: there must be enough rows, and few enough rejected ones."""
    problems = []
    for count in counts:
        # Of an incremental run, the rows that it did not read again were accepted before.
        rows = count.rows + (kept_rows if count is counts[-1] else 0)
        share = count.defects / rows if rows else 0.0
        if share > thresholds.max_rejected:
            reasons = ", ".join(f"{reason}: {number:,}" for reason, number in sorted(count.rejected.items()))
            problems.append(
                f"{count.table}: expected at most {thresholds.max_rejected:.1%} of the rows rejected, found "
                f"{share:.1%} of {rows:,} ({reasons}): see the quarantine, correct the source or "
                "raise quality.max_rejected"
            )
    rows = counts[-1].accepted + kept_rows
    if not rows:
        problems.append(f"{counts[-1].table}: expected ratings, found none that can be used")
    elif last is not None and rows < thresholds.min_rows * last.rows:
        problems.append(
            f"{counts[-1].table}: expected at least {thresholds.min_rows:.0%} of the last run's {last.rows:,} rows, "
            f"found {rows:,}: if the shop really has so few, lower quality.min_rows"
        )
    return Report(run, counts, last, thresholds, tuple(problems), kept_rows, notes)


def _counted(checked: DataFrame, role: str, table: str) -> tuple[DataFrame, TableCount]:
    # Kept serialised, on disk where memory is short: counting and writing must see the same rows, read once.
    kept = checked.persist(StorageLevel.MEMORY_AND_DISK)
    texts = [
        field.name
        for field in kept.schema
        if isinstance(field.dataType, StringType) and field.name not in (REASON, VALUE)
    ]
    lengths = [F.max(F.octet_length(name)).alias(f"_length_{name}") for name in texts]
    groups = kept.groupBy(REASON).agg(F.count(F.lit(1)).alias("_rows"), *lengths).collect()
    rejected = {group[REASON]: group["_rows"] for group in groups if group[REASON] is not None}
    longest = sum(max((group[f"_length_{name}"] or 0 for group in groups), default=0) for name in texts)
    row_bytes = longest + PARQUET_VALUE_BYTES * len(kept.columns)
    return kept, TableCount(role, table, sum(group["_rows"] for group in groups), rejected, row_bytes)
