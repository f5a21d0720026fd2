"""The ratings ETL on growing shops in a real MariaDB, beside a pandas implementation of the same job.

python -m benchmarks.etl [--sizes 10000 100000 1000000 10000000] [--folders] [--memory 6g]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contracts import dataset_file
from contracts.mysql import Login
from contracts.training_data import read_marker
from emulator.mariadb import MariaDB
from emulator.requirements import JAVA_HOME, JDBC_DRIVER

PROJECT = Path(__file__).parents[1]
RATINGS_A_CUSTOMER = 50
MOST_PRODUCTS = 100_000
BUCKETS = 64
TIMEOUT_SECONDS = 3_600


@dataclass(frozen=True)
class Measured:
    rows: int
    seconds: float
    """The peak memory of the whole process, its start included."""
    peak_mb: int
    files: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--folders", action="store_true", help="a folder a customer instead of buckets, at each size")
    parser.add_argument("--memory", default="6g", help="the JVM's heap")
    parser.add_argument("--only", choices=["spark", "pandas"], help="one of the two implementations")
    arguments = parser.parse_args()
    console = Console()
    table = Table("ratings", "", "seconds", "rows/s", "peak MB", "files", title="ETL, 2 cores, process start included")
    with _mariadb() as server:
        for size in arguments.sizes:
            login = make_shop(server, size)
            for name in [arguments.only] if arguments.only else ["spark", "pandas"]:
                result = measure(name, login, 0 if arguments.folders else BUCKETS, arguments.memory)
                rate = f"{result.rows / result.seconds:,.0f}"
                cells = (
                    f"{result.rows:,}",
                    name,
                    f"{result.seconds:.1f}",
                    rate,
                    f"{result.peak_mb:,}",
                    str(result.files),
                )
                table.add_row(*cells)
                print(*cells, sep="\t", file=sys.stderr, flush=True)
    console.print(table)


def make_shop(server: MariaDB, n_ratings: int) -> Login:
    """Makes a shop of the default schema in a database of its own, inside the server."""
    from tests.databases import execute, new_database

    login = new_database(server)
    customers = max(n_ratings // RATINGS_A_CUSTOMER, 10)
    products = min(max(customers // 5, 100), MOST_PRODUCTS)
    execute(
        login,
        [
            "CREATE TABLE customers (customerNumber INT PRIMARY KEY, city VARCHAR(50), state VARCHAR(50), "
            "postalCode VARCHAR(15), country VARCHAR(50), creditLimit DECIMAL(10,2))",
            "INSERT INTO customers SELECT seq, CONCAT('City ', seq % 997), CONCAT('State ', seq % 50), seq % 90000, "
            f"CONCAT('Country ', seq % 40), seq % 100000 + 0.5 FROM seq_1_to_{customers}",
            "CREATE TABLE products (productCode VARCHAR(15) PRIMARY KEY, productName VARCHAR(70), "
            "productLine VARCHAR(50), productScale VARCHAR(10), quantityInStock SMALLINT, buyPrice DECIMAL(10,2), "
            "MSRP DECIMAL(10,2))",
            "INSERT INTO products SELECT CONCAT('S', seq), CONCAT('Product ', seq), CONCAT('Line ', seq % 12), '1:10', "
            f"seq % 9000, seq % 100 + 0.99, seq % 200 + 0.99 FROM seq_1_to_{products}",
            "CREATE TABLE ratings (customerNumber INT NOT NULL, productCode VARCHAR(15) NOT NULL, productRating INT "
            "NOT NULL, INDEX (customerNumber))",
            # A customer's products are spread by a step that shares no factor with their number: no pair comes twice.
            f"INSERT INTO ratings SELECT seq DIV {RATINGS_A_CUSTOMER} % {customers} + 1, "
            f"CONCAT('S', (seq * 7919) % {products} + 1), seq % 5 + 1 FROM seq_0_to_{n_ratings - 1}",
        ],
    )
    return login


def measure(implementation: str, login: Login, buckets: int, memory: str) -> Measured:
    """Makes one run in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="etl-benchmark-"))
    try:
        spec = replace(dataset_file.load(PROJECT / "dataset.toml"), buckets=buckets)
        settings = {"login": vars(login), "dataset": spec.to_dict(), "folder": str(folder), "memory": memory}
        started = time.monotonic()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.etl_process",
                implementation,
                json.dumps(settings | {"jar": str(JDBC_DRIVER)}),
            ],
            cwd=PROJECT,
            env={**os.environ, "JAVA_HOME": str(JAVA_HOME)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        peak = _watched(process)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            raise SystemExit(f"{implementation} failed on {login.database}: exit {process.returncode}")
        marker = read_marker((folder / "lake" / spec.name / "_SUCCESS").read_text())
        return Measured(marker.rows, seconds, peak // 1024, len(marker.files))
    finally:
        # Java may still be clearing its own scratch files.
        shutil.rmtree(folder, ignore_errors=True)


def _watched(process: subprocess.Popen[bytes]) -> int:
    """Waits for the process, and returns the greatest resident size of it and its children together, in KiB."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.25):
            peak = max(peak, sum(_resident(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        process.wait(TIMEOUT_SECONDS)
    finally:
        done.set()
        watcher.join()
    return peak


def _resident(group: int) -> Iterator[int]:
    """Returns the resident KiB of each process of the group."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[2]) == group:
                yield int((entry / "statm").read_text().split()[1]) * 4
        except (OSError, IndexError):
            continue


@contextmanager
def _mariadb() -> Iterator[MariaDB]:
    from tests.databases import running_mariadb

    with running_mariadb() as server:
        yield server


if __name__ == "__main__":
    main()
