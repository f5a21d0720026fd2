"""Users, items and ratings as data frames of the training data's types, checked: each row has a reason to be rejected.

Pure functions of data frames: `load` is the only one that reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

from contracts.dataset import Column, Dataset, Entity, KeyType, Kind, Ratings
from etl.source import Source

REASON = "_reason"
"""Why a row is rejected; null where it is accepted. No column of a shop's may have the name."""

_WHITE_SPACE = " \t\n\r\f\v"
"""POSIX's [[:space:]], which MySQL's regular expressions know by that name."""

SUPERSEDED = "superseded by a later rating"
DUPLICATE = "a second rating of the item by the user"
_SMALL_INTEGERS = (T.ByteType, T.ShortType, T.IntegerType, T.BooleanType)


@dataclass(frozen=True)
class Tables:
    """The three tables, by role."""

    users: DataFrame
    items: DataFrame
    ratings: DataFrame


def load(spark: SparkSession, source: Source, dataset: Dataset, ratings_where: str = "TRUE") -> Tables:
    """Reads the columns that the specification names, no others."""
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    return Tables(
        source.read(spark, users.table, _names(users), users.key),
        source.read(spark, items.table, _names(items), items.key),
        source.read(
            spark,
            ratings.table,
            rating_columns(ratings),
            ratings.user,
            keys=(users.table, users.key),
            where=ratings_where,
        ),
    )


def rating_columns(ratings: Ratings) -> list[str]:
    return list(ratings.columns)


def check_entity(frame: DataFrame, entity: Entity) -> DataFrame:
    """Users or items in their types. Rejected: a key that is missing, and every row of a key that is there twice."""
    typed = frame.select(
        _key(frame, entity.key, entity.key_type), *(_typed(frame, column) for column in entity.columns)
    )
    twice = F.count(F.lit(1)).over(Window.partitionBy(entity.key)) > 1
    return typed.withColumn(REASON, _first_reason({"key missing": _missing(entity.key), "key not unique": twice}))


def check_ratings(tables: Tables, dataset: Dataset) -> DataFrame:
    """Ratings in their types, under the names of the training data, parted as it is; `users`, `items` are checked ones.

    Of several ratings of one item by one user the latest is accepted, and the others are rejected: as superseded where
    there is a time column (which is how shops keep a history), else as duplicates.
    """
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    known = (
        _typed_ratings(tables, dataset)
        .join(_known(tables.users, users, "_user_known"), users.key, "left")
        .join(_known(tables.items, items, "_item_known"), items.key, "left")
    )
    rating = F.col(ratings.rating or "")
    reasons = {
        "user missing": _missing(users.key),
        "item missing": _missing(items.key),
        "rating missing or no number": rating.isNull(),
        "rating not in scale": ~rating.between(*ratings.scale),
        **({"time missing": F.col(ratings.time).isNull()} if ratings.time else {}),
        "user unknown": F.col("_user_known").isNull(),
        "item unknown": F.col("_item_known").isNull(),
    }
    latest_first = [
        F.col(REASON).isNotNull(),
        *([F.col(ratings.time).desc()] if ratings.time else []),
        rating.desc(),
    ]
    same_pair = Window.partitionBy(dataset.partition, users.key, items.key).orderBy(*latest_first)
    return (
        known.withColumn(REASON, _first_reason(reasons))
        .drop("_user_known", "_item_known")
        .withColumn(dataset.partition, partition_value(dataset))
        # One shuffle for both ends: the search for a second rating, and one file for each of the output's folders.
        .repartition(dataset.partition)
        .withColumn("_rank", F.row_number().over(same_pair))
        .withColumn(REASON, F.coalesce(REASON, F.when(F.col("_rank") > 1, SUPERSEDED if ratings.time else DUPLICATE)))
        .drop("_rank")
    )


def accepted(frame: DataFrame) -> DataFrame:
    return frame.where(F.col(REASON).isNull()).drop(REASON)


def rejected(frame: DataFrame) -> DataFrame:
    return frame.where(F.col(REASON).isNotNull()).withColumnRenamed(REASON, "reason")


def join(checked: Tables, dataset: Dataset) -> DataFrame:
    """The training data: a row for each accepted rating, in the order of columns of DESIGN's data contract."""
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    joined = accepted(checked.ratings).join(accepted(checked.users), users.key).join(accepted(checked.items), items.key)
    names = [users.key, *(c.name for c in users.columns), items.key, *(c.name for c in items.columns)]
    last = [ratings.rating or "", *([ratings.time] if ratings.time else []), *(["bucket"] if dataset.buckets else [])]
    return joined.select(*names, *last)


def partition_value(dataset: Dataset) -> SparkColumn:
    """The user, or the user's bucket. CRC-32 because MySQL, Spark and Python compute the same (`zlib.crc32`)."""
    key = F.col(dataset.users.key)
    return (F.crc32(key.cast("string")) % dataset.buckets).cast("int") if dataset.buckets else key


def _names(entity: Entity) -> list[str]:
    return [entity.key, *(column.name for column in entity.columns)]


def _typed_ratings(tables: Tables, dataset: Dataset) -> DataFrame:
    frame, ratings = tables.ratings, dataset.ratings
    columns = [
        _key(frame, name, entity.key_type).cast(checked.schema[entity.key].dataType).alias(entity.key)
        for name, entity, checked in (
            (ratings.user, dataset.users, tables.users),
            (ratings.item, dataset.items, tables.items),
        )
    ]
    columns.append(frame[ratings.rating or ""].cast("int" if _is_whole(frame, ratings.rating or "") else "double"))
    if ratings.time:
        columns.append(frame[ratings.time].cast("timestamp"))
    return frame.select(*columns)


def _typed(frame: DataFrame, column: Column) -> SparkColumn:
    if column.kind is Kind.NUMERIC:
        return frame[column.name].cast("double")
    if column.kind is Kind.INTEGER:
        return _whole_number(frame, column.name)
    return _text(frame, column.name)


def _key(frame: DataFrame, name: str, key_type: KeyType) -> SparkColumn:
    return _whole_number(frame, name) if key_type is KeyType.INTEGER else _text(frame, name)


def _whole_number(frame: DataFrame, name: str) -> SparkColumn:
    """An int where the source's type fits into one, else a bigint."""
    small = isinstance(frame.schema[name].dataType, _SMALL_INTEGERS)
    return frame[name].cast("int" if small else "bigint").alias(name)


def _text(frame: DataFrame, name: str) -> SparkColumn:
    return F.btrim(frame[name].cast("string"), F.lit(_WHITE_SPACE)).alias(name)


def _is_whole(frame: DataFrame, name: str) -> bool:
    source_type = frame.schema[name].dataType
    return isinstance(source_type, T.IntegralType) or (
        isinstance(source_type, T.DecimalType) and source_type.scale == 0
    )


def _known(frame: DataFrame, entity: Entity, flag: str) -> DataFrame:
    return accepted(frame).select(entity.key, F.lit(True).alias(flag))


def _missing(name: str) -> SparkColumn:
    return F.col(name).isNull() | (F.col(name).cast("string") == "")


def _first_reason(reasons: Mapping[str, SparkColumn]) -> SparkColumn:
    """The first reason that holds, else null."""
    return F.coalesce(*(F.when(holds, F.lit(reason)) for reason, holds in reasons.items()))
