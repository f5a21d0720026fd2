"""Reads from the shop's database what a run shows and sends: names of items, and customers who could visit the site."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pymysql.cursors

from contracts.dataset import Dataset, Entity
from contracts.mysql import Login
from contracts.source_rows import quoted
from local.login import connected

MAX_CUSTOMERS = 2_000
"""The most customers to generate events from; a shop may have millions."""
MAX_BIT_BYTES = 8
"""The bytes of the largest BIT column."""
ZERO_DATE = "0000-00-00"
"""MySQL's value for a missing date."""
ID = "_id"


@dataclass(frozen=True)
class Customer:
    """A customer with features, and the items that they liked."""

    id: str | int
    features: Mapping[str, Any]
    liked: tuple[str, ...]


@dataclass(frozen=True)
class Shop:
    """The part of the shop that events are made of and that a summary names."""

    customers: tuple[Customer, ...]
    item_names: Mapping[str, str]
    """Item id → name for people."""

    def item(self, item_id: str) -> str:
        name = self.item_names.get(item_id)
        return f"{name} ({item_id})" if name and name != item_id else item_id


def read_shop(login: Login, dataset: Dataset) -> Shop:
    """Reads names, customers and liked items from the tables that the dataset specification names."""
    users, ratings = dataset.users, dataset.ratings
    with _cursor(login) as cursor:
        names = _names(cursor, dataset.items)
        cursor.execute(f"SELECT {_customer_columns(users)} FROM {users.sql} ORDER BY 1 LIMIT {MAX_CUSTOMERS}")  # noqa: S608
        rows = cursor.fetchall()
        is_liked = f"WHERE {quoted(ratings.rating)} >= {ratings.liked}" if ratings.rating else ""
        cursor.execute(
            f"SELECT {quoted(ratings.user)} AS user, {quoted(ratings.item)} AS item FROM {ratings.sql} {is_liked} "  # noqa: S608
            f"ORDER BY 1, 2 LIMIT {MAX_CUSTOMERS * 50}"
        )
        liked: dict[Any, list[str]] = {}
        for row in cursor.fetchall():
            liked.setdefault(_plain(row["user"]), []).append(str(_plain(row["item"])))
    return Shop(tuple(_customer(row, tuple(liked.get(_plain(row[ID]), ()))) for row in rows), names)


def read_customer(login: Login, dataset: Dataset, key: str) -> Customer | None:
    """Returns one customer with features, without liked items."""
    users = dataset.users
    with _cursor(login) as cursor:
        wanted = f"{quoted(users.key)} = {cursor.mogrify('%s', (key,))}"
        cursor.execute(f"SELECT {_customer_columns(users)} FROM {users.sql} WHERE {wanted}")  # noqa: S608
        row = cursor.fetchone()
    return None if row is None else _customer(row, ())


def read_names(login: Login, dataset: Dataset, ids: Collection[str]) -> Shop:
    """Returns the names of some items."""
    with _cursor(login) as cursor:
        return Shop((), _names(cursor, dataset.items, ids))


@contextlib.contextmanager
def _cursor(login: Login) -> Iterator[pymysql.cursors.DictCursor]:
    """A cursor whose rows are dicts."""
    with connected(login) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        yield cursor


def _names(cursor: pymysql.cursors.DictCursor, items: Entity, ids: Collection[str] | None = None) -> dict[str, str]:
    key = quoted(items.key)
    wanted = "" if ids is None else f"WHERE {key} IN {cursor.mogrify('%s', (tuple(ids) or ('',),))}"
    cursor.execute(f"SELECT {key} AS id, {quoted(items.name or items.key)} AS name FROM {items.sql} {wanted}")  # noqa: S608
    return {str(_plain(row["id"])): str(_plain(row["name"])) for row in cursor.fetchall()}


def _customer_columns(users: Entity) -> str:
    own = [column.source or column.name for column in users.features]
    return ", ".join([f"{quoted(users.key)} AS `{ID}`", *(quoted(name) for name in dict.fromkeys(own))])


def _customer(row: Mapping[str, Any], liked: tuple[str, ...]) -> Customer:
    plain = {key: _plain(value) for key, value in row.items() if key != ID and value is not None}
    features = {key: value for key, value in plain.items() if not str(value).startswith(ZERO_DATE)}
    return Customer(_plain(row[ID]), features, liked)


def _plain(value: Any) -> Any:
    """Returns a value in the form that an event's JSON has."""
    if isinstance(value, Decimal | float):
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, bytes):
        return int.from_bytes(value) if len(value) <= MAX_BIT_BYTES else value.decode(errors="replace").strip()
    return value if isinstance(value, int) else str(value).strip()
