"""An item that a refresh reads has the features and the attributes that the ETL and training have of it."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from contracts import features
from contracts.attributes import attributes, to_json
from contracts.dataset_file import parse
from contracts.mysql import Login
from functions.catalog_refresh.login import connected, read_login
from functions.catalog_refresh.source import SourceItems
from tests.databases import execute
from tests.etl.shops import items, run

GAMES = """
[users]
table = "players"
key = "id"
key_type = "integer"
[items]
query = "SELECT *, CONCAT(title, '!') AS shouted FROM games WHERE id > 0"
key = "id"
key_type = "integer"
in_stock = "left_over"
name = "title"
[items.columns]
genres = "tags:,"
title = "text"
age = "categorical"
price = "numeric"
left_over = "integer"
solo = "boolean"
published = "date"
[items.display]
shouted = "shouted"
weight = "weight"
[ratings]
table = "stars"
user = "player"
item = "game"
rating = "stars"
[output]
name = "games"
"""

SQL = (
    "CREATE TABLE players (id INT PRIMARY KEY)",
    "CREATE TABLE games (id BIGINT UNSIGNED PRIMARY KEY, title VARCHAR(40), genres TEXT, age DECIMAL(4,1), "
    "price DECIMAL(10,2), left_over SMALLINT, solo TINYINT(1), published DATETIME, weight FLOAT)",
    "CREATE TABLE stars (player INT, game BIGINT UNSIGNED, stars INT)",
    "INSERT INTO players VALUES (1), (2)",
    "SET sql_mode = ''",
    "INSERT INTO games VALUES "
    "(1, '  Größe 😀 ', 'war, peace', 12.50, 9.99, 5, 1, '2020-02-29 23:59:59', 0.1), "
    "(2, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL), "
    "(3, 'zero', 'x', 0, 0, 0, 0, '0000-00-00 00:00:00', -1e10), "
    "(4, 'bad', 'x', 1, 1, -3, 7, '2020-01-01 00:00:00', 1), "
    "(18446744073709551615, 'far', 'x', 1, 1, 1, 1, '2020-01-01 00:00:00', 1)",
    "INSERT INTO stars VALUES (1, 1, 5), (2, 3, 1), (1, 2, 4)",
)


def test_features_and_attributes_are_those_of_the_lake(spark: SparkSession, shop_database: Login, lake: Path) -> None:
    execute(shop_database, SQL)
    run(spark, shop_database, GAMES + "[quality]\nmax_rejected = 1.0\n", lake)
    spec, today = parse(GAMES), date(2026, 11, 28)
    column_of = {name: column for column, name in spec.catalogue_names.items()}
    lake_rows = [{column_of[name]: value for name, value in row.items()} for row in items(lake, "games")]
    written = {row["id"]: row for row in lake_rows}
    assert set(written) == {1, 2, 3}, "4 has a boolean of 7, and the last a key that no integer of the lake holds"
    url = f"jdbc:mysql://{shop_database.host}:{shop_database.port}/{shop_database.database}"
    login = {"url": url, "username": shop_database.username, "password": shop_database.password}
    with connected(read_login(json.dumps(login).encode(), "login.json")) as connection:
        source = SourceItems(connection, spec)
        found = {row.key: source.item(row) for rows in source.chunks() for row in rows}
    assert {key for key, item in found.items() if item is not None} == {"1", "2", "3"}
    for key, row in written.items():
        item: Any = found[str(key)]
        assert item.values == row
        assert item.attributes == to_json(attributes(spec.items, row))
        for column in spec.items.features:
            name = column.source or column.name
            told = [repr(features.value(column, values[name], today)) for values in (item.values, row)]
            assert told[0] == told[1], column
    assert {key: item.in_stock for key, item in found.items() if item} == {"1": True, "2": True, "3": False}
