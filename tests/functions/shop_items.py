"""The items' table of a shop in MariaDB beside a loaded version, and the refresh between them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from contracts.mysql import Login
from functions.catalog_refresh import handler
from functions.shared import versions
from functions.shop_seeder.sample_shop.sql import TABLES
from tests.databases import execute
from tests.functions.conftest import Store
from tests.functions.lambdas import Context

LOGIN_KEY = "source/login.json"


@dataclass(frozen=True)
class ShopItems:
    """Products, and the version that is refreshed from them."""

    login: Login
    store: Store

    def put(self, *ids: str, stock: int = 5, price: float = 10.0, name: str = "A name") -> None:
        rows = ", ".join(f"('{id_}', '{name}', 'Ships', '1:10', 'A vendor', '', {stock}, {price}, 20)" for id_ in ids)
        self.execute(f"REPLACE INTO products VALUES {rows}")

    def execute(self, *statements: str) -> None:
        execute(self.login, statements)

    def refresh(self, seconds: float = 120.0) -> dict[str, Any]:
        """Returns what the function answers, as JSON carries it."""
        event = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}
        answer: dict[str, Any] = json.loads(json.dumps(handler.handler(event, Context(seconds))))
        return answer

    def stored(self, version: str) -> dict[str, tuple[Any, ...]]:
        """Each item of the version: its stock, attributes, vector as text, and the transaction that wrote the row."""
        select = sql.SQL("SELECT id, in_stock, attributes, embedding::text, xmin::text FROM {}")
        rows = self.store.connection.execute(select.format(versions.tables(version).items))
        return {id_: tuple(values) for id_, *values in rows}


def shop_items(store: Store, login: Login, ids: Iterable[str], **options: str) -> ShopItems:
    """Makes the table with these items in it, and puts the login where the function reads it."""
    shop = ShopItems(login, store)
    shop.execute(TABLES["products"])
    shop.put(*ids)
    put_login(store, login, **options)
    return shop


def put_login(store: Store, login: Login, **options: str) -> None:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    url = f"jdbc:mysql://{login.host}:{login.port}/{login.database}{'?' if query else ''}{query}"
    body = json.dumps({"url": url, "username": login.username, "password": login.password})
    store.s3.put_object(Bucket=store.bucket, Key=LOGIN_KEY, Body=body.encode())
