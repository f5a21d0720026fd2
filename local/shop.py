"""What the run itself looks up in the shop's database: names to show, and who could come to the site."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql
import pymysql.cursors

from contracts.dataset import Dataset

MAX_CUSTOMERS = 2_000
"""Customers to make events of; a shop may have millions."""


@dataclass(frozen=True)
class Login:
    """How to reach a MySQL database."""

    host: str
    port: int
    database: str
    username: str
    password: str


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


@contextlib.contextmanager
def connected(login: Login) -> Iterator[Any]:
    """A cursor over the shop's database whose rows are dicts."""
    connection = pymysql.connect(
        host=login.host,
        port=login.port,
        user=login.username,
        password=login.password,
        database=login.database,
        cursorclass=pymysql.cursors.DictCursor,
    )
    try:
        yield connection.cursor()
    finally:
        connection.close()


def read_shop(login: Login, dataset: Dataset) -> Shop:
    """Reads names, customers and what they liked, by the tables that the dataset specification names."""
    users, items, ratings = dataset.users, dataset.items, dataset.ratings
    with connected(login) as cursor:
        name = items.name or items.key
        cursor.execute(f"SELECT `{items.key}` AS id, `{name}` AS name FROM `{items.table}`")  # noqa: S608
        names = {str(row["id"]).strip(): str(row["name"]).strip() for row in cursor.fetchall()}
        columns = ", ".join(f"`{column.name}`" for column in users.features)
        cursor.execute(
            f"SELECT `{users.key}` AS `_id`{', ' if columns else ''}{columns} FROM `{users.table}` "  # noqa: S608
            f"ORDER BY `{users.key}` LIMIT {MAX_CUSTOMERS}"
        )
        rows = cursor.fetchall()
        cursor.execute(
            f"SELECT `{ratings.user}` AS user, `{ratings.item}` AS item FROM `{ratings.table}` "  # noqa: S608
            f"WHERE `{ratings.rating}` >= {ratings.liked} ORDER BY 1, 2 LIMIT {MAX_CUSTOMERS * 50}"
        )
        liked: dict[Any, list[str]] = {}
        for row in cursor.fetchall():
            liked.setdefault(row["user"], []).append(str(row["item"]).strip())
    customers = tuple(
        Customer(
            row["_id"],
            {key: _plain(value) for key, value in row.items() if key != "_id" and value is not None},
            tuple(liked.get(row["_id"], ())),
        )
        for row in rows
    )
    return Shop(customers, names)


def _plain(value: Any) -> Any:
    """A value as an event's JSON has it."""
    if isinstance(value, str):
        return value.strip()
    return int(value) if float(value).is_integer() else float(value)
