"""Users, items and ratings as data frames of the training data's types, checked: each row has a reason to be rejected.

Pure functions of data frames: `load` is the only one that reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from contracts.attributes import MAX_TEXT_CHARACTERS
from contracts.column_types import ColumnType, Family, Read, Use, expression, is_number, reads
from contracts.dataset import BUCKET, Dataset
from etl.mysql import Source, Split

REASON = "_reason"
"""The column with the reason why a row is rejected; null if it is accepted. No training column begins with `_`."""
VALUE = "_value"
"""The column with the value that did not fit its type, as the database has it; the row itself cannot hold it."""

_WHITE_SPACE = " \t\n\r\f\v"
_INT = (-(2**31), 2**31 - 1)
_BIGINT = (-(2**63), 2**63 - 1)
_ZERO_DATE = "0000-00-00"
"""MySQL's value for a missing date; in a column that is NOT NULL, MySQL's own `IS NULL` finds it."""

SUPERSEDED = "superseded by a later rating"
DUPLICATE = "a second rating of the item by the user"
MERGED = "added to the user's latest purchase of the item"
RETURNED = "returned: the quantities add up to nothing"
NO_DEFECTS = (SUPERSEDED, MERGED, RETURNED)
"""Reasons that are no defects of a shop's data."""

Types = Mapping[str, Mapping[str, ColumnType]]
"""Role → lower-case column name of the source → its type."""


@dataclass(frozen=True)
class Tables:
    """The three tables, by role."""

    users: DataFrame
    items: DataFrame
    ratings: DataFrame


def load(
    spark: SparkSession, source: Source, dataset: Dataset, types: Types, role: str, where: str = "TRUE"
) -> DataFrame:
    """Reads the columns that the specification names, no others, under the names of the training data, and types them.

    `where` is an SQL condition on the role's rows.
    """
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    rows, column, keys = {
        "users": (users, users.key, users),
        "items": (items, items.key, items),
        "ratings": (ratings, ratings.user, users),
    }[role]
    # A query is run whole by each of its readers, so it gets one.
    split = Split(column, keys.key_type, (keys.table, keys.key)) if rows.table and keys.table else None
    frame = source.read(spark, rows, expressions(dataset, types, role), split, where)
    return typed(frame, reads(dataset)[role], targets(dataset, types))


def expressions(dataset: Dataset, types: Types, role: str) -> dict[str, str]:
    """Returns the SQL expression that reads each column of a role's table, by its name in the training data."""
    return {read.name: expression(read, types[role][read.column.lower()]) for read in reads(dataset)[role]}


def targets(dataset: Dataset, types: Types) -> dict[str, str]:
    """Returns Spark's type of each training column. Keys have the types of the users' and items' tables, not the
    ratings'."""
    found: dict[str, str] = {}
    for role in ("ratings", "users", "items"):
        for read in reads(dataset)[role]:
            found[read.name] = _target(read, types[role][read.column.lower()])
    return found


def typed(frame: DataFrame, columns: tuple[Read, ...], target: Mapping[str, str]) -> DataFrame:
    """Casts the columns to their types; a row with a value that does not fit gets a reason and that value."""
    given = dict(frame.dtypes)
    good = {read.name: _typed(F.col(read.name), given[read.name], read.use, target[read.name]) for read in columns}
    reason, value = [], []
    for read in columns:
        text = F.col(read.name).cast("string")
        if misfit := _misfit(good[read.name], F.col(read.name), read):
            bad, what = misfit
            reason.append(F.when(bad, F.lit(f"{read.column}: {what}")))
            value.append(F.when(bad, text))
    nothing = F.lit(None).cast("string")
    return frame.select(
        *(column.alias(name) for name, column in good.items()),
        F.coalesce(*reason, nothing).alias(REASON),
        F.coalesce(*value, nothing).alias(VALUE),
    )


def check_entity(frame: DataFrame, key: str) -> DataFrame:
    """Checks typed users or items: a missing key is rejected, and so is every row of a key that occurs twice."""
    twice = F.count(F.lit(1)).over(Window.partitionBy(key)) > 1
    return frame.withColumn(REASON, _first_reason({"key missing": _missing(key), "key not unique": twice}))


def check_ratings(tables: Tables, dataset: Dataset) -> DataFrame:
    """Typed ratings, parted as the training data is; `users` and `items` are checked ones.

    Of several ratings of one item by one user the latest is accepted, and the others are rejected: as superseded where
    there is a time column (which is how shops keep a history), else as duplicates. Purchases add up.
    """
    names = dataset.training_names
    user, item = entity_keys(dataset)
    time = names["ratings", dataset.ratings.time] if dataset.ratings.time else None
    known = (
        tables.ratings.join(_known(tables.users, user, "_user_known"), user, "left")
        .join(_known(tables.items, item, "_item_known"), item, "left")
        .withColumns({} if dataset.ratings.rating or dataset.ratings.quantity else {str(dataset.quantity): F.lit(1.0)})
    )
    amount = F.col(names["ratings", dataset.ratings.rating] if dataset.ratings.rating else str(dataset.quantity))
    reasons = {
        "user missing": _missing(user),
        "item missing": _missing(item),
        **(
            {
                "rating missing or no number": amount.isNull(),
                "rating not in scale": ~amount.between(*dataset.ratings.scale),
            }
            if dataset.ratings.rating
            else {"quantity missing": amount.isNull()}
        ),
        **({"time missing": F.col(time).isNull()} if time else {}),
        "user unknown": F.col("_user_known").isNull(),
        "item unknown": F.col("_item_known").isNull(),
    }
    pair = Window.partitionBy(dataset.partition, user, item)
    latest_first = [F.col(REASON).isNotNull(), *([F.col(time).desc()] if time else []), amount.desc()]
    ranked = (
        known.withColumn(REASON, _first_reason(reasons))
        .drop("_user_known", "_item_known")
        .withColumn(dataset.partition, partition_value(dataset))
        # One shuffle for both ends: the search for a second rating, and one file for each of the output's folders.
        .repartition(dataset.partition)
        .withColumn("_rank", F.row_number().over(pair.orderBy(*latest_first)))
    )
    if dataset.ratings.rating:
        again = F.when(F.col("_rank") > 1, SUPERSEDED if time else DUPLICATE)
        return ranked.withColumn(REASON, F.coalesce(REASON, again)).drop("_rank")
    total = F.sum(F.when(F.col(REASON).isNull(), amount)).over(pair)
    again = F.when(F.col("_total") <= 0, RETURNED).when(F.col("_rank") > 1, MERGED)
    return (
        ranked.withColumn("_total", total)
        .withColumn(REASON, F.coalesce(REASON, again))
        .withColumn(str(dataset.quantity), F.when(F.col(REASON).isNull(), F.col("_total")).otherwise(amount))
        .drop("_rank", "_total")
    )


def accepted(frame: DataFrame) -> DataFrame:
    return frame.where(F.col(REASON).isNull()).drop(REASON, VALUE)


def rejected(frame: DataFrame) -> DataFrame:
    """Returns the rejected rows, for people to look at, without purchases that were added up."""
    bad = frame.where(F.col(REASON).isNotNull() & (F.col(REASON) != MERGED))
    return bad.withColumnsRenamed({REASON: "reason", VALUE: "value"})


def join(checked: Tables, dataset: Dataset, rating_type: str = "double") -> DataFrame:
    """The training data: a row for each accepted rating, in the order of columns of DESIGN's data contract."""
    names = dataset.training_names
    user, item = entity_keys(dataset)
    joined = accepted(checked.ratings).join(accepted(checked.users), user).join(accepted(checked.items), item)
    columns = [F.col(name) for name in names.values()]
    if dataset.ratings.rating:
        rating = names["ratings", dataset.ratings.rating]
        columns = [F.col(name).cast(rating_type) if name == rating else F.col(name) for name in names.values()]
    return joined.select(*columns, *([BUCKET] if dataset.buckets else []))


def entity_keys(dataset: Dataset) -> tuple[str, str]:
    """The training data's names of the users' and of the items' key."""
    names = dataset.training_names
    return names["users", dataset.users.key], names["items", dataset.items.key]


def partition_value(dataset: Dataset) -> SparkColumn:
    """The user, or the user's bucket. CRC-32 because MySQL, Spark and Python compute the same (`zlib.crc32`)."""
    key = F.col(dataset.training_names["users", dataset.users.key])
    return (F.crc32(key.cast("string")) % dataset.buckets).cast("int") if dataset.buckets else key


def rating_type(dataset: Dataset, types: Types) -> str:
    """An int where the source's ratings are whole numbers."""
    if dataset.ratings.rating is None:
        return "double"
    family = types["ratings"][dataset.ratings.rating.lower()].family
    return "int" if family in (Family.WHOLE, Family.BITS) else "double"


def _target(read: Read, column: ColumnType) -> str:
    if read.use is Use.INTEGER:
        return "int" if column.fits_int else "bigint"
    if is_number(read, column):
        return "double"
    return {Use.DATE: "date", Use.TIME: "timestamp"}.get(read.use, "string")


def _typed(column: SparkColumn, given: str, use: Use, target: str) -> SparkColumn:
    if use is Use.INTEGER and given == target:
        return column
    if use is Use.INTEGER:
        whole = column.cast("decimal(38,0)") if given == "string" else column
        return F.when(whole.between(*(_INT if target == "int" else _BIGINT)), whole.cast(target))
    if target == "double":
        return column.cast("double")
    if use is Use.DATE:
        return F.substring(column, 1, len(_ZERO_DATE)).cast("date")
    if use is Use.TIME:
        return F.when(column.rlike(r"^\d{4}-"), column).cast("timestamp")
    text = F.btrim(column.cast("string"), F.lit(_WHITE_SPACE))
    return F.when(F.length(text) <= MAX_TEXT_CHARACTERS, text) if use is Use.SHOWN else text


def _misfit(good: SparkColumn, raw: SparkColumn, read: Read) -> tuple[SparkColumn, str] | None:
    """Returns the condition under which a value does not fit its type, and the reason; None if every value fits."""
    lost = raw.isNotNull() & good.isNull()
    if read.use is Use.BOOLEAN:
        return ~good.isin("0", "1"), "neither 0 nor 1"
    if read.use is Use.INTEGER:
        return lost, "too large for an integer"
    if read.use is Use.DATE:  # MySQL's zero date is no date: as a feature it is missing, in a rating it is an error
        return lost & ~raw.startswith(_ZERO_DATE), "no date"
    return (lost, "no date or time") if read.use is Use.TIME else None


def _known(frame: DataFrame, key: str, flag: str) -> DataFrame:
    return accepted(frame).select(key, F.lit(True).alias(flag))


def _missing(name: str) -> SparkColumn:
    return F.col(name).isNull() | (F.col(name).cast("string") == "")


def _first_reason(reasons: Mapping[str, SparkColumn]) -> SparkColumn:
    """Returns the reason that the types gave, else the first reason that holds, else null."""
    return F.coalesce(REASON, *(F.when(holds, F.lit(reason)) for reason, holds in reasons.items()))
