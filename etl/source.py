"""Reads the shop's tables over JDBC, in parallel by ranges of a key whose bounds the database itself gives."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pyspark.sql import DataFrame, SparkSession

FETCH_ROWS = 10_000
"""Rows that a reader holds at a time. Without it MySQL's driver takes a whole result into memory."""
ROWS_A_READER = 250_000
"""A range's aimed-at size: large enough to pay for its connection, small enough to spread evenly over the cores."""
MAX_READERS = 64
"""Connections are the database's, and the shop needs them too; a job has at most as many open as it has cores."""


@dataclass(frozen=True)
class Source:
    """A MySQL database: its JDBC URL and login."""

    url: str
    user: str
    password: str = field(repr=False)

    def query(self, spark: SparkSession, sql: str) -> DataFrame:
        """The result of one statement, read by one reader."""
        return spark.read.format("jdbc").options(**self._options(sql)).load()

    def read(
        self,
        spark: SparkSession,
        table: str,
        columns: Sequence[str],
        split_by: str,
        keys: tuple[str, str] | None = None,
        where: str = "TRUE",
    ) -> DataFrame:
        """The table's columns, read by ranges of the column `split_by`.

        `keys` is (table, column) where that column's values are listed once each, and indexed; the table itself where
        not given. `where` is an SQL condition that the rows must meet.
        """
        selected = ", ".join(quoted(column) for column in columns)
        sql = f"SELECT {selected} FROM {quoted(table)} WHERE {where}"  # noqa: S608
        ranges = self._ranges(spark, table, split_by, keys or (table, split_by))
        options = self._options(sql)
        return spark.read.jdbc(
            options.pop("url"),
            f"({sql}) AS source",
            predicates=ranges,
            properties=options,
        )

    def _options(self, sql: str) -> dict[str, str]:
        return {
            "url": self.url,
            "dbtable": f"({sql}) AS source",
            "user": self.user,
            "password": self.password,
            "fetchsize": str(FETCH_ROWS),
            "useCursorFetch": "true",  # MySQL's driver fetches in portions only with it; MariaDB's does so anyway
        }

    def _ranges(self, spark: SparkSession, table: str, column: str, keys: tuple[str, str]) -> list[str]:
        """Conditions that part the table: each row meets exactly one of them."""
        key = quoted(column)
        bounds = self._bounds(spark, table, column, keys)
        if not bounds:
            return ["TRUE"]
        inner = [f"{key} >= {low} AND {key} < {high}" for low, high in pairwise(bounds)]
        return [f"{key} < {bounds[0]} OR {key} IS NULL", *inner, f"{key} >= {bounds[-1]}"]

    def _bounds(self, spark: SparkSession, table: str, column: str, keys: tuple[str, str]) -> list[str]:
        """SQL literals that cut the column into about equal parts, in the order that the column's collation has.

        Equal steps over an index of keys, not equal distances between the least and the greatest: ids have gaps.
        """
        key_table, key_column = map(quoted, keys)
        counts = self.query(
            spark,
            f"SELECT (SELECT COUNT(*) FROM {quoted(table)}) AS n_rows, "  # noqa: S608
            f"(SELECT COUNT(*) FROM {key_table}) AS n_keys",
        ).first()
        assert counts is not None
        parts = min(MAX_READERS, counts.n_rows // ROWS_A_READER + 1, max(counts.n_keys, 1))
        if parts < 2:
            return []
        cuts = [
            f"(SELECT {key_column} AS cut FROM {key_table} ORDER BY 1 LIMIT 1 OFFSET {counts.n_keys * part // parts})"  # noqa: S608
            for part in range(1, parts)
        ]
        sql = (
            f"SELECT DISTINCT {quoted(column)} AS cut FROM {quoted(table)} "  # noqa: S608
            f"WHERE {quoted(column)} IN (SELECT cut FROM ({' UNION ALL '.join(cuts)}) AS cuts) ORDER BY 1"
        )
        return [literal(row.cut) for row in self.query(spark, sql).collect()]


def quoted(name: str) -> str:
    """A table's or column's name as MySQL has it."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: object) -> str:
    """A key's value as MySQL has it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return str(value)
