"""Refreshes of the catalogue: seconds and rows written, beside the bare read of the table and the bare COPY of keys.

python -m benchmarks.catalogue [--sizes 100000]
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from psycopg import sql

from benchmarks import shop
from contracts.artifacts import ITEM_TOWER, Manifest
from contracts.mysql import Login
from emulator.mariadb import MariaDB
from functions.catalog_refresh.login import connected
from functions.catalog_refresh.refresh import Report, refresh
from functions.catalog_refresh.source import SourceItems
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.deadline import Deadline
from functions.shop_seeder.sample_shop.sql import TABLES
from tests.functions.worlds import DATASET, item_tower

PRODUCTS = """
INSERT INTO products
SELECT CONCAT('I', seq), CONCAT('Name of item ', seq), 'Ships', '1:10', 'A vendor', '', MOD(seq, 100) + 1, seq / 100, 20
FROM seq_{first}_to_{last}
"""
CHANGED = "UPDATE products SET buyPrice = buyPrice + 1 WHERE MOD(CRC32(productCode), {share}) = 0"
HOURS = 24 * 3600.0


class Artifacts:
    """The bucket, which is asked for the item tower alone."""

    def read(self, manifest: Manifest, name: str) -> bytes:
        return item_tower(manifest.dim)


class Source:
    """A shop's products in MariaDB."""

    def __init__(self, server: MariaDB) -> None:
        self.login = Login(server.host, server.port, "shop", "benchmark", shop.PASSWORD)

    def execute(self, *statements: str) -> None:
        login = {"host": self.login.host, "port": self.login.port, "user": self.login.username}
        with pymysql.connect(**login, password=self.login.password, autocommit=True) as made, made.cursor() as cursor:
            for statement in ("CREATE DATABASE IF NOT EXISTS shop", "USE shop", *statements):
                cursor.execute(statement)

    def fill(self, size: int) -> None:
        self.execute("DROP TABLE IF EXISTS products", TABLES["products"], PRODUCTS.format(first=0, last=size - 1))


@contextmanager
def source() -> Iterator[Source]:
    with tempfile.TemporaryDirectory(prefix="recommender-benchmark-") as folder:
        server = MariaDB(Path(folder), user="benchmark", password=shop.PASSWORD)
        server.start()
        try:
            yield Source(server)
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    sizes = parser.parse_args().sizes
    with source() as products, shop.database() as (_, where), shop.connection(where) as connection:
        for size in sizes:
            products.fill(size)
            digests = {ITEM_TOWER: "0" * 64}
            manifest, _ = shop.load_version(connection, shop.clustered(size), digests, DATASET.to_dict())
            print(f"\n{size:,} items of {shop.DIM} dimensions: seconds, rows written")
            _measure(connection, products, manifest, size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory of this process, the vectors' making included: {peak:,.0f} MB")


def _measure(connection: Connection, products: Source, manifest: Manifest, size: int) -> None:
    def row(name: str, work: Callable[[], Report | None]) -> None:
        start = time.perf_counter()
        report = work()
        seconds = time.perf_counter() - start
        written = f"{sum(report.versions[manifest.version].values()):10,}" if report else ""
        print(f"{name:40} {seconds:8.1f} {written}", flush=True)

    def refreshed() -> Report:
        bucket: Any = Artifacts()
        report = refresh(connection, bucket, products.login, Deadline(time.monotonic() + HOURS))
        assert report.complete
        assert not report.problems, report.problems
        return report

    tables = versions.tables(manifest.version)
    with _without_indexes(connection, tables):
        refreshed()  # brings the attributes, which the loader has from training
    connection.execute(sql.SQL("DROP TABLE {}").format(tables.item_sources))
    row("bare read of the table", lambda: _read(products))
    row("bare COPY of keys and digests", lambda: _copy(connection, size))
    row("the first refresh of a version, 0 %", refreshed)
    row("0 %", refreshed)
    products.execute(CHANGED.format(share=1000))
    row("0.1 % changed", refreshed)
    products.execute(PRODUCTS.format(first=size, last=size + size // 1000 - 1))
    row("0.1 % new", refreshed)
    products.execute(CHANGED.format(share=1))
    row("100 % changed", refreshed)


@contextmanager
def _without_indexes(connection: Connection, tables: versions.VersionTables) -> Iterator[None]:
    """Drops the indexes over vectors and attributes, and makes them again."""
    found = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass AND pg_get_indexdef(indexrelid) ~ ' (hnsw|gin) '",
        [tables.items.as_string(connection)],
    ).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
    yield
    for _, definition in found:
        connection.execute(definition.encode())


def _read(products: Source) -> None:
    with connected(products.login) as made:
        for _ in SourceItems(made, DATASET).raw():
            pass


def _copy(connection: Connection, size: int) -> None:
    connection.execute("CREATE TEMPORARY TABLE keys (id text, digest bigint)")
    with connection.cursor() as cursor, cursor.copy("COPY keys FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["text", "int8"])
        for number in range(size):
            copy.write_row((f"I{number}", number))
    connection.execute("DROP TABLE keys")


if __name__ == "__main__":
    main()
