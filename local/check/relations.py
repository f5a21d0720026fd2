"""Finds the tables of interactions in a shop's database, and the ways from them to users and to items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from contracts.column_types import ColumnType, Family
from contracts.mysql_columns import read_columns
from contracts.source_rows import quoted
from local.check.names import ITEM_WORDS, RATING_WORDS, USER_WORDS, first_of, named, singular

MOST_JOINS = 2
"""The most tables between interactions and the ids of user and item."""


@dataclass(frozen=True)
class Link:
    """A column that refers to another table's key."""

    table: str
    column: str
    target: str
    key: str


@dataclass(frozen=True)
class Interactions:
    """A table of interactions, and the way from its rows to a user and to an item."""

    table: str
    to_user: tuple[Link, ...]
    to_item: tuple[Link, ...]

    @property
    def joins(self) -> int:
        return len(self.to_user) + len(self.to_item) - 2


@dataclass(frozen=True)
class Source:
    """A shop's database: its columns, its keys, and the columns that refer to them."""

    cursor: Any
    schema: Mapping[str, Mapping[str, ColumnType]]
    keys: Mapping[str, str]
    links: Sequence[Link]

    @classmethod
    def read(cls, cursor: Any) -> "Source":
        """Reads the schema; links are the foreign keys, and the columns that are named like one."""
        schema, keys = _schema(cursor), _primary_keys(cursor)
        links = [*_foreign_keys(cursor)]
        links += [link for link in _links_by_name(schema, keys) if link not in links]
        return cls(cursor, schema, keys, links)

    def best_interactions(self) -> Interactions | None:
        """Returns the table that leads to users and to items; prefers ratings to purchases, then fewer tables on the
        way, then more rows."""
        return max(_interactions(self.schema, self.links), key=self._score, default=None)

    def refers(self, table: str, column: str) -> bool:
        return any(link.table == table and link.column == column for link in self.links)

    def one(self, sql: str) -> tuple[Any, ...]:
        self.cursor.execute(sql)
        row: tuple[Any, ...] = self.cursor.fetchone()
        return row

    def _score(self, one: Interactions) -> tuple[bool, int, int]:
        (rows,) = self.one(f"SELECT COUNT(*) FROM {quoted(one.table)}")  # noqa: S608
        return (rating_of(self.schema[one.table]) is not None and rows > 0, -one.joins, rows)


def _schema(cursor: Any) -> dict[str, dict[str, ColumnType]]:
    """Returns every table's columns and their types, with the names as written."""
    schema: dict[str, dict[str, ColumnType]] = {}
    for table, column, found in read_columns(cursor):
        schema.setdefault(table, {})[column] = found
    return schema


def _primary_keys(cursor: Any) -> dict[str, str]:
    """Table → its primary key, if that is one column."""
    cursor.execute(
        "SELECT table_name, MIN(column_name) FROM information_schema.key_column_usage "
        "WHERE table_schema = DATABASE() AND constraint_name = 'PRIMARY' GROUP BY table_name HAVING COUNT(*) = 1"
    )
    return dict(cursor.fetchall())


def _foreign_keys(cursor: Any) -> Iterator[Link]:
    cursor.execute(
        "SELECT table_name, MIN(column_name), MIN(referenced_table_name), MIN(referenced_column_name) "
        "FROM information_schema.key_column_usage WHERE table_schema = DATABASE() "
        "AND referenced_table_schema = DATABASE() GROUP BY table_name, constraint_name HAVING COUNT(*) = 1"
    )
    for row in cursor.fetchall():
        yield Link(*row)


def _links_by_name(schema: Mapping[str, Mapping[str, ColumnType]], keys: Mapping[str, str]) -> Iterator[Link]:
    """Finds a column named like another table's key (`customerNumber`), or like the table itself (`product_id`,
    `user`)."""
    for (table, columns), (target, key) in product(schema.items(), keys.items()):
        if table == target:
            continue
        single = singular(target.lower())
        plain = key.lower() in ("id", "uid", "code", "key")
        names = {single, f"{single}_id", f"{single}id", f"{single}_code"} | (set() if plain else {key.lower()})
        for column in columns:
            if column.lower() in names and columns[column].family is schema[target][key].family:
                yield Link(table, column, target, key)


def _interactions(schema: Mapping[str, Any], links: Sequence[Link]) -> Iterator[Interactions]:
    for table in schema:
        paths = list(_paths(table, links))
        users = [path for path in paths if named(path[-1].target, USER_WORDS)]
        items = [path for path in paths if named(path[-1].target, ITEM_WORDS)]
        for to_user, to_item in product(users, items):
            ends = {to_user[-1].target, to_item[-1].target}
            one = Interactions(table, to_user, to_item)
            if len(ends) == 2 and table not in ends and one.joins <= MOST_JOINS:
                yield one


def _paths(table: str, links: Sequence[Link], before: tuple[Link, ...] = ()) -> Iterator[tuple[Link, ...]]:
    for link in links:
        if link.table == table and link.target not in {step.table for step in before} | {table}:
            yield (*before, link)
            if len(before) < MOST_JOINS:
                yield from _paths(link.target, links, (*before, link))


def rating_of(columns: Mapping[str, ColumnType]) -> str | None:
    """Returns the column with the rating, or None."""
    return first_of(columns, RATING_WORDS, {Family.WHOLE, Family.FRACTION, Family.FLOAT})
