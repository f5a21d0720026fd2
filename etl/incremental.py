"""An incremental run: the partitions whose users have rated since the last run are read again, whole; others are kept.

Reading whole partitions again is what makes it right for a changed rating too: nothing is merged, it is replaced.
"""

from collections.abc import Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contracts.dataset import Dataset, DatasetError, KeyType
from contracts.training_data import SuccessMarker
from etl.lake import Folder
from etl.source import literal, quoted

OVERLAP = "1 DAY"
"""Ratings so much older than the newest known one count as new: transactions come late, clocks and zones differ."""


def condition(spark: SparkSession, folder: Folder, last: SuccessMarker, dataset: Dataset) -> str:
    """The SQL condition for the ratings of every partition that has changed. Raises `DatasetError` without a time."""
    ratings = dataset.ratings
    if not ratings.time:
        raise DatasetError("an incremental run needs ratings.time in dataset.toml: expected a column, found none")
    newest = F.date_format(F.max(ratings.time) - F.expr(f"INTERVAL {OVERLAP}"), "yyyy-MM-dd HH:mm:ss.SSSSSS")
    since = _read(spark, folder, last.files).agg(newest.alias("since")).first()
    assert since is not None
    partition = _partition_sql(dataset)
    return (
        f"{partition} IN (SELECT {partition} FROM {quoted(ratings.table)} "  # noqa: S608
        f"WHERE {quoted(ratings.time)} >= {literal(since.since)})"
    )


def kept_files(spark: SparkSession, last: SuccessMarker, ratings: DataFrame, dataset: Dataset) -> frozenset[str]:
    """The last run's files of partitions that none of these checked ratings, accepted or not, belongs to."""
    # Spark's own escaping of what a folder's name may not hold.
    escaped = spark._jvm.org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils.escapePathName  # type: ignore[union-attr]
    values = ratings.select(dataset.partition).distinct().na.drop().collect()
    changed = {f"{escaped(dataset.partition)}={escaped(str(row[0]))}" for row in values}
    return frozenset(file for file in last.files if file.split("/")[0] not in changed)


def kept_rows(spark: SparkSession, folder: Folder, last: SuccessMarker, kept: frozenset[str]) -> int:
    """Rows in the kept files: what the last run had, less the rows of the files to be replaced (which are fewer)."""
    replaced = set(last.files) - kept
    return last.rows - (_read(spark, folder, replaced).count() if replaced else 0)


def _read(spark: SparkSession, folder: Folder, files: Iterable[str]) -> DataFrame:
    return spark.read.parquet(*(f"{folder.uri}/{file}" for file in sorted(files)))


def _partition_sql(dataset: Dataset) -> str:
    """What `tables.partition_value` computes, in MySQL's words; a coarser equality (its collation's) does no harm."""
    user = quoted(dataset.ratings.user)
    if dataset.users.key_type is KeyType.TEXT or dataset.buckets:
        user = f"REGEXP_REPLACE(CONVERT({user} USING utf8mb4), '^[[:space:]]+|[[:space:]]+$', '')"
    return f"MOD(CRC32({user}), {dataset.buckets})" if dataset.buckets else user
