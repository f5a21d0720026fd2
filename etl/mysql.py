"""Reads the shop's tables over JDBC, in parallel by ranges of a key; the bounds come from the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T  # noqa: N812

from contracts import column_types
from contracts.column_types import ColumnType
from contracts.columns import KeyType
from contracts.dataset import Dataset
from contracts.source_rows import Rows, quoted

FETCH_ROWS = 10_000
"""Rows that a reader holds at a time. Without it MySQL's driver loads a whole result into memory."""
ROWS_A_READER = 250_000
"""Target size of a range: large enough to be worth a connection, small enough to spread evenly over the cores."""
MAX_READERS = 64
"""The most ranges of a table. A job opens at most one connection for each core, because the shop needs connections
too."""

SESSION = "SET time_zone = '+00:00'"
"""The first statement of each connection: the server returns TIMESTAMPs in the session's time zone."""
DRIVER_OPTIONS = {
    "useCursorFetch": "true",  # MySQL's driver fetches in portions only with it; MariaDB's does so anyway
    "tinyInt1isBit": "false",  # both drivers would report TINYINT(1), which may hold -1 or 5, as a boolean
    "yearIsDateType": "false",
    "passwordCharacterEncoding": "UTF-8",  # MariaDB's takes the platform's
}
"""Options in addition to those of the connection's URL ("Configuration Properties", MySQL Connector/J Developer
Guide)."""

_SPLIT = "split_by"


@dataclass(frozen=True)
class Split:
    """Splits a table by ranges of `column`. The table `keys` holds each of its values once, with an index."""

    column: str
    key_type: KeyType
    keys: tuple[str, str]
    """(table, column)."""


@dataclass(frozen=True)
class Source:
    """A MySQL database: its JDBC URL, which may carry options of the driver, and login."""

    url: str
    user: str
    password: str = field(repr=False)
    driver: str = ""
    """The driver's class; if it is not given, the driver that accepts the URL."""

    def query(self, spark: SparkSession, sql: str) -> DataFrame:
        """Returns the result of one statement, read by one reader."""
        return spark.read.format("jdbc").options(**self._options(sql)).load()

    def column_types(self, spark: SparkSession, dataset: Dataset) -> dict[str, Mapping[str, ColumnType] | None]:
        """Returns each role's columns by lower-case name; None if the table does not exist."""
        schema: dict[str, dict[str, ColumnType]] = {}
        for row in self.query(spark, column_types.COLUMNS_SQL).collect():
            schema.setdefault(row["t"], {})[row["c"].lower()] = ColumnType(row["d"].lower(), row["f"].lower())
        found = column_types.schema_columns(dataset, schema)
        for role, rows in (("users", dataset.users), ("items", dataset.items), ("ratings", dataset.ratings)):
            if rows.query:
                fields = self.query(spark, f"SELECT * FROM {rows.sql} LIMIT 0").schema  # noqa: S608
                found[role] = {field.name.lower(): _result_type(field) for field in fields}
        return found

    def read(
        self,
        spark: SparkSession,
        rows: Rows,
        columns: Mapping[str, str],
        split: Split | None = None,
        where: str = "TRUE",
    ) -> DataFrame:
        """Reads columns (name in the result → SQL expression), split into ranges, or by one reader.

        `where` is an SQL condition that the rows must meet.
        """
        selected = [f"{sql} AS {quoted(name)}" for name, sql in columns.items()]
        ranges = self._ranges(spark, rows, split) if split else ["TRUE"]
        if split:  # the column as it is, for its index
            selected.append(f"{quoted(split.column)} AS {_SPLIT}")
        options = self._options(f"SELECT {', '.join(selected)} FROM {rows.sql} WHERE {where}")  # noqa: S608
        frame = spark.read.jdbc(options.pop("url"), options.pop("dbtable"), predicates=ranges, properties=options)
        return frame.drop(_SPLIT)

    def _options(self, sql: str) -> dict[str, str]:
        return {
            "url": self.url,
            "dbtable": f"({sql}) AS source",
            "user": self.user,
            "password": self.password,
            "fetchsize": str(FETCH_ROWS),
            "sessionInitStatement": SESSION,
            **DRIVER_OPTIONS,
            **({"driver": self.driver} if self.driver else {}),
        }

    def _ranges(self, spark: SparkSession, rows: Rows, split: Split) -> list[str]:
        """Returns SQL conditions that split the table: each row meets exactly one of them."""
        bounds = self._bounds(spark, rows, split)
        if not bounds:
            return ["TRUE"]
        inner = [f"{_SPLIT} >= {low} AND {_SPLIT} < {high}" for low, high in pairwise(bounds)]
        return [f"{_SPLIT} < {bounds[0]} OR {_SPLIT} IS NULL", *inner, f"{_SPLIT} >= {bounds[-1]}"]

    def _bounds(self, spark: SparkSession, rows: Rows, split: Split) -> list[str]:
        """Returns SQL literals that split the column into about equal parts, in the order of the column's collation.

        The bounds are equal steps over an index of keys, not equal distances between the least and the greatest key,
        because ids have gaps. The two columns' collations may differ, so each is compared only with literals.
        """
        key_table, key_column = map(quoted, split.keys)
        counts = self.query(
            spark,
            f"SELECT (SELECT COUNT(*) FROM {rows.sql}) AS n_rows, "  # noqa: S608
            f"(SELECT COUNT(*) FROM {key_table}) AS n_keys",
        ).first()
        assert counts is not None
        parts = min(MAX_READERS, counts.n_rows // ROWS_A_READER + 1, max(counts.n_keys, 1))
        if parts < 2:
            return []
        cuts = " UNION ALL ".join(
            f"(SELECT {key_column} AS cut FROM {key_table} ORDER BY 1 LIMIT 1 OFFSET {counts.n_keys * part // parts})"  # noqa: S608
            for part in range(1, parts)
        )
        wanted = self._literals(spark, f"SELECT cut FROM ({cuts}) AS cuts", split)  # noqa: S608
        if not wanted:
            return []
        column = quoted(split.column)
        # With LIMIT, or MariaDB drops the order of a statement that another one selects from.
        there = (
            f"SELECT DISTINCT {column} AS cut FROM {rows.sql} "  # noqa: S608
            f"WHERE {column} IN ({', '.join(wanted)}) ORDER BY 1 LIMIT {MAX_READERS}"
        )
        return self._literals(spark, there, split)

    def _literals(self, spark: SparkSession, sql: str, split: Split) -> list[str]:
        """Returns the keys `cut` of a statement as literals, without keys that another character set may not have."""
        found = self.query(spark, f"SELECT CONVERT(cut USING utf8mb4) AS cut FROM ({sql}) AS keys_found")  # noqa: S608
        keys = [row.cut for row in found.collect() if row.cut is not None]
        return [literal(key, split.key_type) for key in keys if key.isascii()]


def literal(key: str, key_type: KeyType) -> str:
    """Returns a key as an SQL literal; text is written as its bytes, which mean the same in every SQL mode."""
    return str(int(key)) if key_type is KeyType.INTEGER else f"_utf8mb4 0x{key.encode().hex()}" if key else "''"


def _result_type(column: T.StructField) -> ColumnType:
    """Returns the type of a query's column as the driver reports it; there is no schema to ask."""
    kind = column.dataType
    if isinstance(kind, T.DecimalType):
        return ColumnType("decimal", f"decimal({kind.precision},{kind.scale})")
    if isinstance(kind, T.BooleanType) or column.metadata.get("binarylong"):
        return ColumnType("bit", "bit(64)" if column.metadata.get("binarylong") else "bit(1)")
    names: dict[type[T.DataType], str] = {
        T.ByteType: "tinyint",
        T.ShortType: "smallint",
        T.IntegerType: "int",
        T.LongType: "bigint",
        T.FloatType: "float",
        T.DoubleType: "double",
        T.StringType: "varchar",
        T.DateType: "date",
        T.TimestampType: "datetime",
        T.BinaryType: "blob",
    }
    name = names.get(type(kind), kind.simpleString())
    return ColumnType(name, name)
