"""The price of what is left out: CPU time of the database a search, by the items excluded for each customer.

python -m benchmarks.exclusions [--sizes 1000 30000]

CPU time of the server's own process (Linux: /proc/<pid>/schedstat), which other work on the machine does not lengthen
much; the ways take turns, and the least of their runs counts.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks import shop
from contracts.dataset import Exclude, Serving
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving.store import Store
from functions.shared.vectors import Vectors

BATCH, TOP, ROUNDS = 100, 10, 40
COUNTS = (100, 10_000)
GOAL = 0.20
"""The most that a search may cost more with 100 items excluded."""

_BY_TRAINING = """
INSERT INTO {recent_items} (user_id, item_ids, excluded)
SELECT 'trained ' || {count} || ' ' || customer, '{{}}',
    (SELECT jsonb_object_agg('I' || (customer * 7919 + {step} * n) % {items}, NULL) FROM generate_series(1, {count}) n)
FROM generate_series(0, {batch} - 1) customer
"""
_BY_EVENTS = """
INSERT INTO recommender.customer_items (customer, bought, bought_or_rated)
SELECT 'events ' || {count} || ' ' || customer,
'{{}}',
    (SELECT jsonb_object_agg('I' || (customer * 7919 + {step} * n) % {items}, extract(epoch FROM now())::bigint)
     FROM generate_series(1, {count}) n)
FROM generate_series(0, {batch} - 1) customer
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 30_000])
    arguments = parser.parse_args()
    with shop.database() as (_, where), shop.connection(where) as connection:
        for size in arguments.sizes:
            manifest, _ = shop.load_version(connection, shop.clustered(size))
            _exclude(connection, manifest.version, size)
            stores = {
                days: Store(connection, manifest.version, "cosine", shop.DIM, Serving(Exclude.RATED, days))
                for days in (None, 90)
            }
            Console().print(_table(connection, stores, size))
            connection.execute("TRUNCATE recommender.customer_items")


def _exclude(connection: Connection, version: str, size: int) -> None:
    """Excludes items all over the catalogue, for customers named by how and how many."""
    for count in COUNTS:
        counts = {"count": count, "items": max(size, 20 * count), "batch": BATCH, "step": 7}
        literals = {name: sql.Literal(number) for name, number in counts.items()}
        for statement in (_BY_TRAINING, _BY_EVENTS):
            tables = {"recent_items": versions.tables(version).recent_items}
            connection.execute(sql.SQL(statement).format(**tables, **literals))
    connection.execute(sql.SQL("ANALYZE {}").format(versions.tables(version).recent_items))
    connection.execute("ANALYZE recommender.customer_items")


def _table(connection: Connection, stores: dict[int | None, Store], size: int) -> Table:
    queries = shop.clustered(BATCH, seed=2)
    ways: dict[tuple[str, int], Callable[[], object]] = {
        ("nobody excludes anything", 0): _search(stores[None], queries, "")
    }
    for count in COUNTS:
        ways["by the training", count] = _search(stores[None], queries, f"trained {count} ")
        ways["by events", count] = _search(stores[None], queries, f"events {count} ")
        ways["by events, with exclude_days", count] = _search(stores[90], queries, f"events {count} ")
    spent = _least(connection, ways)
    base = spent["nobody excludes anything", 0]
    table = Table("excluded", "items", "µs a query", "", title=f"Top {TOP} of {size:,} items")
    for (way, count), seconds in spent.items():
        goal = f" (to reach: +{GOAL:.0%})" if count == COUNTS[0] else ""
        beside = f"{seconds / base - 1:+.0%}{goal}" if count else ""
        table.add_row(way, f"{count:,}", f"{seconds / BATCH * 1e6:,.0f}", beside)
    return table


def _search(store: Store, queries: Vectors, customer: str) -> Callable[[], object]:
    customers = [f"{customer}{n}" for n in range(BATCH)]
    sessions = [[f"I{n}", f"I{n + 1}", "no such"] for n in range(BATCH)]
    return lambda: store.nearest(queries, sessions, TOP, customers)


def _least(connection: Connection, ways: dict[tuple[str, int], Callable[[], object]]) -> dict[tuple[str, int], float]:
    """The seconds of CPU time that the server spends in each way's best run."""
    process = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for way, work in ways.items():
            before = int(process.read_text().split()[0])
            work()
            least[way] = min(least[way], (int(process.read_text().split()[0]) - before) / 1e9)
    return least


if __name__ == "__main__":
    main()
