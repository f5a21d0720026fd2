"""Shops for the ETL's tests, the job run on them in this process, and what it left in the data lake."""

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from contracts.mysql import Login
from contracts.training_data import SUCCESS_MARKER, SuccessMarker, items_folder, read_marker
from etl.mysql import Source
from tests.databases import execute

# Glue's own library is there only inside a job; the script's `run`, which the tests call, does not use it.
for _name in ("awsglue", "awsglue.context", "awsglue.utils"):
    sys.modules.setdefault(_name, types.ModuleType(_name))
sys.modules["awsglue.context"].GlueContext = object  # type: ignore[attr-defined]
sys.modules["awsglue.utils"].getResolvedOptions = object  # type: ignore[attr-defined]
ratings_etl: Any = importlib.import_module("etl.ratings_etl")

BOOKS = """
[users]
table = "readers"
key = "reader_id"
key_type = "text"
[users.columns]
home_town = "categorical"
[items]
table = "books"
key = "isbn"
key_type = "text"
name = "title"
[items.columns]
genres = "tags:|"
pages = "integer"
[items.display]
cover = "picture"
price = "Price"
[ratings]
table = "stars"
user = "reader"
item = "book"
rating = "score"
scale = [0, 10]
liked = 7
time = "scored_at"
[output]
name = "books-ml"
buckets = 3
"""
"""Text keys, tags, a time column, half points, buckets; no numeric feature of users, no stock."""

BOOKS_SQL = (
    "CREATE TABLE readers (reader_id VARCHAR(20) PRIMARY KEY, home_town TEXT, email TEXT)",
    "CREATE TABLE books (isbn CHAR(13) PRIMARY KEY, title TEXT, genres TEXT, pages BIGINT,"
    " picture TEXT, price DECIMAL(6,2))",
    "CREATE TABLE stars (reader VARCHAR(20), book CHAR(13), score DECIMAL(3,1), scored_at DATETIME(6), INDEX (reader))",
)


MARIADB_DRIVER = "org.mariadb.jdbc.Driver"


def configured_spark(folder: Path, *jdbc_drivers: Path) -> SparkSession:
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraClassPath", ":".join(map(str, jdbc_drivers)))
        # Compiling is most of the time that a small query takes; the tests of the Glue job run with it.
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.warehouse.dir", str(folder))
        .config("spark.local.dir", str(folder))
        .getOrCreate()
    )
    ratings_etl.configure(session)
    session.conf.set("spark.sql.shuffle.partitions", 2)
    return session


def source_of(login: Login, driver: str = MARIADB_DRIVER) -> Source:
    url = f"jdbc:mysql://{login.host}:{login.port}/{login.database}"
    return Source(url, login.username, login.password, driver)


def run(
    spark: SparkSession, login: Login, dataset: str, lake: Path, driver: str = MARIADB_DRIVER, **options: Any
) -> Any:
    spec = lake / "dataset.toml"
    spec.write_text(dataset)
    try:
        return ratings_etl.run(spark, source_of(login, driver), spec.as_uri(), lake.as_uri(), **options)
    finally:
        spark.catalog.clearCache()


def marker(lake: Path, name: str) -> SuccessMarker:
    return read_marker((lake / name / SUCCESS_MARKER).read_text())


def rows(lake: Path, name: str) -> list[dict[str, Any]]:
    """The training data as a reader sees them: the marker's files, the partition's value from the path."""
    found = []
    for file in marker(lake, name).files:
        key, value = file.split("/")[0].split("=")
        found += [{key: value} | row for row in pq.read_table(lake / name / file, partitioning=None).to_pylist()]
    return found


def items(lake: Path, name: str) -> list[dict[str, Any]]:
    """The catalogue, by key: all items, with or without a rating."""
    files = marker(lake, name).items
    found = [row for file in files for row in pq.read_table(lake / items_folder(name) / file).to_pylist()]
    return sorted(found, key=lambda row: str(row))


def quarantined(lake: Path) -> dict[str, list[dict[str, Any]]]:
    """Rejected rows by role, of all runs."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(lake.glob("quarantine/*/*/*.json")):
        found.setdefault(file.parent.name, []).extend(map(json.loads, file.read_text().splitlines()))
    return found


def make_books(login: Login, *inserts: str) -> None:
    execute(login, [*BOOKS_SQL, *inserts])
