"""An incremental run: partitions with any change since the last run are read again, whole; the others are kept.

Changes are found by comparing with the last run's state, not by a time column. So rows that were added, changed,
deleted or dated wrongly are all found, in each of the tables. MySQL hashes the ratings of each partition, and only the
hashes are sent. If there is nothing to compare with, or too much has changed, the run reads everything.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contracts.column_types import Read, Use, expression, reads
from contracts.columns import KeyType
from contracts.dataset import Dataset
from contracts.training_data import SuccessMarker, items_folder, state_folder
from etl.lake import Folder
from etl.mysql import Source, literal
from etl.tables import Types, accepted, entity_keys, partition_value

STATE_VERSION = 1
"""Increase it when the ETL makes other data from the same source."""
MAX_LISTED = 10_000
"""The most partitions, or items, that a statement lists; if more have changed, reading everything costs less."""

_SPACE = "_utf8mb4 0x" + b"^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$".hex()
"""The white space that `tables` trims, as a regular expression written in bytes, which mean the same in every SQL
mode."""


@dataclass(frozen=True)
class State:
    """The source that training data were made from, without the items: equal states and equal items give equal data."""

    specification: str
    """A hash of dataset.toml and the columns' types."""
    ratings: Mapping[str, str]
    """Partition → number and hash of its ratings."""
    users: Mapping[str, str]
    """Partition → hash of its users, of partitions with ratings."""


@dataclass(frozen=True)
class Plan:
    """The `partitions` to read because they have changed (None: everything), and the same as an SQL condition."""

    partitions: frozenset[str] | None
    where: str
    why: str = ""
    """The reason for reading everything; empty if partitions are listed."""


EVERYTHING = Plan(None, "TRUE")


def state(source: Source, dataset: Dataset, types: Types, users: DataFrame) -> State:
    """Returns the state of the source now; `users` are checked."""
    spark = users.sparkSession
    columns = ", ',', ".join(
        f"QUOTE({expression(read, types['ratings'][read.column.lower()])})" for read in reads(dataset)["ratings"]
    )
    row_hash = f"CAST(CONV(LEFT(SHA2(CONCAT({columns}), 256), 15), 16, 10) AS UNSIGNED)"
    sql = (
        "SELECT part, CONCAT(COUNT(*), ':', SUM(hash)) AS state FROM ("  # noqa: S608
        f"SELECT {_partition_sql(dataset, types)} AS part, {row_hash} AS hash FROM {dataset.ratings.sql}"
        ") AS hashed WHERE part IS NOT NULL GROUP BY part"
    )
    ratings = {str(row["part"]): row["state"] for row in source.query(spark, sql).collect()}
    part = partition_value(dataset).cast("string")
    hashed = _hashed(accepted(users)).groupBy(part.alias("part")).agg(F.sum("hash").cast("string").alias("hash"))
    return State(
        _specification(dataset, types),
        ratings,
        {row["part"]: row["hash"] for row in hashed.collect() if row["part"] in ratings},
    )


def read_state(folder: Folder, run: str) -> State | None:
    """Reads the state that a run kept; None if the run was not incremental."""
    text = folder.sibling(state_folder(folder.name)).read(f"{run}.json")
    return None if text is None else State(**json.loads(text))


def write_state(folder: Folder, run: str, now: State) -> None:
    """Keeps this state and deletes those of earlier runs."""
    states = folder.sibling(state_folder(folder.name))
    before = states.files()
    states.write(f"{run}.json", json.dumps(asdict(now)))
    states.delete(before)


def plan(
    source: Source, dataset: Dataset, types: Types, folder: Folder, last: SuccessMarker | None, now: State,
    items: DataFrame,
) -> Plan:  # fmt: skip
    """Decides which partitions to read by comparing with the last run's state; `items` are checked."""
    before = read_state(folder, last.run) if last else None
    if last is None or before is None or not last.items:
        return Plan(None, "TRUE", "there is no incremental run before")
    if before.specification != now.specification:
        return Plan(None, "TRUE", "dataset.toml or a column's type has changed")
    spark = items.sparkSession
    changed_items = _changed_items(spark, dataset, folder, last, items)
    changed = _differ(before.ratings, now.ratings) | _differ(before.users, now.users)
    if len(changed_items) <= MAX_LISTED:
        changed |= _partitions_of(source, spark, dataset, types, changed_items)
    if max(len(changed), len(changed_items)) > MAX_LISTED:
        return Plan(None, "TRUE", f"more than {MAX_LISTED:,} partitions or items have changed")
    if not changed:
        return Plan(frozenset(), "FALSE")
    values = sorted(changed)
    listed = ", ".join(values if dataset.buckets else (literal(value, KeyType.TEXT) for value in values))
    return Plan(frozenset(changed), f"{_partition_sql(dataset, types)} IN ({listed})")


def kept(
    spark: SparkSession, folder: Folder, last: SuccessMarker | None, planned: Plan, dataset: Dataset
) -> tuple[frozenset[str], int]:
    """Returns the last run's files of the partitions that have not changed, and the number of their rows."""
    if last is None or planned.partitions is None:
        return frozenset(), 0
    # Spark's own escaping of what a folder's name may not hold.
    escaped = spark._jvm.org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils.escapePathName  # type: ignore[union-attr]
    folders = {f"{escaped(dataset.partition)}={escaped(value)}" for value in planned.partitions}
    files = frozenset(file for file in last.files if file.split("/")[0] not in folders)
    replaced = set(last.files) - files  # these are fewer
    return files, last.rows - (_read(spark, folder, replaced).count() if replaced else 0)


def _read(spark: SparkSession, folder: Folder, files: Iterable[str]) -> DataFrame:
    return spark.read.parquet(*(f"{folder.uri}/{file}" for file in sorted(files)))


def _specification(dataset: Dataset, types: Types) -> str:
    columns = {role: {name: column.full for name, column in found.items()} for role, found in types.items()}
    # What is left out of recommendations changes no training data.
    specification = {key: value for key, value in dataset.to_dict().items() if key != "serving"}
    # What is only shown of items neither: their catalogue is written whole by every run.
    specification["items"] = {key: value for key, value in specification["items"].items() if key != "display"}
    text = json.dumps([STATE_VERSION, specification, columns], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _differ(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


def _hashed(frame: DataFrame) -> DataFrame:
    """Adds a column `hash` to the rows, of a type that can be summed."""
    return frame.withColumn("hash", F.xxhash64(*frame.columns).cast("decimal(38,0)"))


def _changed_items(
    spark: SparkSession, dataset: Dataset, folder: Folder, last: SuccessMarker, items: DataFrame
) -> list[str]:
    """Returns keys of items that were added, deleted or changed; at most one more than may be listed."""
    _, key = entity_keys(dataset)
    now = accepted(items).select(*(name for (role, _), name in dataset.training_names.items() if role == "items"))
    before = _read(spark, folder.sibling(items_folder(folder.name)), last.items).select(*now.columns)
    both = [_hashed(frame).select(key, F.col("hash").alias(name)) for frame, name in ((now, "now"), (before, "before"))]
    changed = both[0].join(both[1], key, "full_outer").where(~F.col("now").eqNullSafe(F.col("before")))
    return [str(row[0]) for row in changed.select(key).limit(MAX_LISTED + 1).collect()]


def _partitions_of(source: Source, spark: SparkSession, dataset: Dataset, types: Types, items: list[str]) -> set[str]:
    """Returns the partitions that have ratings of the items, accepted or not."""
    if not items:
        return set()
    item = _key_sql(reads(dataset)["ratings"][1], types)
    listed = ", ".join(literal(key, KeyType.TEXT) for key in items)
    sql = (
        f"SELECT DISTINCT {_partition_sql(dataset, types)} AS part "  # noqa: S608
        f"FROM {dataset.ratings.sql} WHERE {item} IN ({listed})"
    )
    return {str(row["part"]) for row in source.query(spark, sql).collect() if row["part"] is not None}


def _partition_sql(dataset: Dataset, types: Types) -> str:
    """Returns the SQL expression for the value that `tables.partition_value` computes in Spark."""
    user = _key_sql(reads(dataset)["ratings"][0], types)
    return f"MOD(CRC32({user}), {dataset.buckets})" if dataset.buckets else user


def _key_sql(read: Read, types: Types) -> str:
    """Returns the SQL expression of a key as the training data have it, as text that is compared byte by byte."""
    column = types["ratings"][read.column.lower()]
    if read.use is Use.INTEGER:  # `+ 0`: without the leading zeros of a ZEROFILL column
        return f"CONVERT(`{read.column.replace('`', '``')}` + 0 USING utf8mb4) COLLATE utf8mb4_bin"
    return f"REGEXP_REPLACE({expression(read, column)}, {_SPACE}, '') COLLATE utf8mb4_bin"
