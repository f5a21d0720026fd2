"""What the run itself looks up in the shop's database: names to show, and who could come to the site."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pymysql.cursors

from contracts.dataset import Dataset, Entity
from local.login import Login as Login
from local.login import connected

MAX_CUSTOMERS = 2_000
"""Customers to make events of; a shop may have millions."""
MAX_BIT_BYTES = 8
"""Of a BIT column."""
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
    """Item id → what people call it."""

    def item(self, item_id: str) -> str:
        name = self.item_names.get(item_id)
        return f"{name} ({item_id})" if name and name != item_id else item_id


def read_shop(login: Login, dataset: Dataset) -> Shop:
    """Reads names, customers and what they liked, by the tables that the dataset specification names."""
    users, ratings = dataset.users, dataset.ratings
    with _cursor(login) as cursor:
        names = _names(cursor, dataset.items)
        cursor.execute(f"SELECT {_customer_columns(users)} FROM `{users.table}` ORDER BY 1 LIMIT {MAX_CUSTOMERS}")  # noqa: S608
        rows = cursor.fetchall()
        cursor.execute(
            f"SELECT `{ratings.user}` AS user, `{ratings.item}` AS item FROM `{ratings.table}` "  # noqa: S608
            f"WHERE `{ratings.rating}` >= {ratings.liked} ORDER BY 1, 2 LIMIT {MAX_CUSTOMERS * 50}"
        )
        liked: dict[Any, list[str]] = {}
        for row in cursor.fetchall():
            liked.setdefault(row["user"], []).append(str(row["item"]).strip())
    return Shop(tuple(_customer(row, tuple(liked.get(row[ID], ()))) for row in rows), names)


def read_customer(login: Login, dataset: Dataset, key: str) -> Customer | None:
    """One customer with features, without likes."""
    users = dataset.users
    with _cursor(login) as cursor:
        cursor.execute(
            f"SELECT {_customer_columns(users)} FROM `{users.table}` WHERE `{users.key}` = %s",  # noqa: S608
            (key,),
        )
        row = cursor.fetchone()
    return None if row is None else _customer(row, ())


def read_names(login: Login, dataset: Dataset, ids: Collection[str]) -> Shop:
    """The names of some items."""
    with _cursor(login) as cursor:
        return Shop((), _names(cursor, dataset.items, ids))


@contextlib.contextmanager
def _cursor(login: Login) -> Iterator[pymysql.cursors.DictCursor]:
    """A cursor whose rows are dicts."""
    with connected(login) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        yield cursor


def _names(cursor: pymysql.cursors.DictCursor, items: Entity, ids: Collection[str] | None = None) -> dict[str, str]:
    sql = f"SELECT `{items.key}` AS id, `{items.name or items.key}` AS name FROM `{items.table}`"  # noqa: S608
    if ids is not None:
        sql += f" WHERE `{items.key}` IN %s"
    cursor.execute(sql, None if ids is None else (tuple(ids) or ("",),))
    return {str(row["id"]).strip(): str(row["name"]).strip() for row in cursor.fetchall()}


def _customer_columns(users: Entity) -> str:
    columns = [f"`{users.key}` AS `{ID}`", *(f"`{column.name}`" for column in users.features)]
    return ", ".join(columns)


def _customer(row: Mapping[str, Any], liked: tuple[str, ...]) -> Customer:
    features = {key: _plain(value) for key, value in row.items() if key != ID and value is not None}
    return Customer(_plain(row[ID]), features, liked)


def _plain(value: Any) -> Any:
    """A value as an event's JSON has it."""
    if isinstance(value, Decimal | float):
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, bytes):
        return int.from_bytes(value) if len(value) <= MAX_BIT_BYTES else value.decode(errors="replace").strip()
    return value if isinstance(value, int) else str(value).strip()
