"""Latency and rate of a request to the API, at 1 and 8 clients, beside the bare SQL and a service of FastAPI.

    python -m benchmarks.api [--items 100000]

A client is a process with a connection of its own, as a Lambda environment is; the functions' handler and the FastAPI
application run in it, so neither's figure has an HTTP server in it. PostgreSQL, S3 and the model are real.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import shop
from benchmarks.system import BUCKET, services, sha256, tower
from contracts.artifacts import USER_TOWER

PATH = "/v1/recommendations"
LIMIT = 10
CLIENTS = (1, 8)
SECONDS = 8.0
WARM_UP = 20
RATE_GOAL, LATENCY_GOAL = 0.6, 2.0
"""At least so much of the bare statement's rate, and at most so many times its 99th percentile."""

Ask = Callable[[int], int]
"""Asks for the nth request, and returns the number of items that came."""


@dataclass(frozen=True)
class Catalogue:
    version: str
    size: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    size = parser.parse_args().items
    console = Console(file=sys.stdout)
    content, dataset = tower()
    with services() as (connection, s3):
        manifest, _ = shop.load_version(connection, shop.clustered(size), {USER_TOWER: sha256(content)}, dataset)
        s3.put_object(Bucket=BUCKET, Key=f"{manifest.version}/{USER_TOWER}", Body=content)
        catalogue = Catalogue(manifest.version, size)
        for clients in CLIENTS:
            console.print(_table({way: _run(way, catalogue, clients) for way in WAYS}, size, clients))


def _queries(size: int) -> list[str]:
    """Returns query strings: each a customer who has looked at three items."""
    dice = np.random.default_rng(7)
    customers, visits = dice.integers(size, size=500).tolist(), dice.integers(size, size=(500, 3)).tolist()
    return [
        urlencode([("customer", customer), ("limit", LIMIT), *(("items", f"I{item}") for item in visit)])
        for customer, visit in zip(customers, visits, strict=True)
    ]


def _bare(catalogue: Catalogue) -> Ask:
    """The one statement that no way can do without: a search of the index with a vector."""
    from benchmarks.vector_store import BARE
    from functions.shared import environment
    from functions.shared.database import connect
    from functions.shared.serving import connections, store

    connection = connect(environment.storage().database)
    connections.prepare(connection)
    statement = store.Store(connection, catalogue.version, "cosine", shop.DIM).statement(BARE, LIMIT)
    cursor, vectors = connection.cursor(binary=True), shop.clustered(500, seed=2)
    return lambda n: len(cursor.execute(statement, [[vectors[n % 500]]], prepare=True).fetchall())


def _handler(catalogue: Catalogue) -> Ask:
    from functions.recommendation_api import handler as api
    from tests.functions.lambdas import Context

    api.logger.setLevel("ERROR")
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  the metrics, which Lambda would read
    event = {"version": "2.0", "routeKey": f"GET {PATH}", "rawPath": PATH, "headers": {}, "isBase64Encoded": False}
    queries = _queries(catalogue.size)

    def ask(n: int) -> int:
        response = api.handler({**event, "rawQueryString": queries[n % len(queries)]}, Context(15))
        return len(json.loads(response["body"])["items"])

    return ask


def _fastapi(catalogue: Catalogue) -> Ask:
    from benchmarks.fastapi_service import service
    from functions.shared import environment, versions

    app = service(environment.storage().database, versions.tables(catalogue.version).schema)
    queries = _queries(catalogue.size)
    loop = asyncio.new_event_loop()

    async def request(query: str) -> bytes:
        body = b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal body
            body += message.get("body", b"")

        scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http"}
        scope |= {"path": PATH, "raw_path": PATH.encode(), "query_string": query.encode(), "headers": []}
        await app(scope, receive, send)
        return body

    return lambda n: loop.run_until_complete(request(queries[n % len(queries)])).count(b'"id"')


WAYS: dict[str, Callable[[Catalogue], Ask]] = {
    "limit: the bare statement": _bare,
    "the API's function": _handler,
    "FastAPI and pgvector, as one would write it first": _fastapi,
}


def _client(way: str, catalogue: Catalogue, together: Barrier, results: Any) -> None:
    ask = WAYS[way](catalogue)
    for n in range(WARM_UP):
        assert ask(n) == LIMIT, f"{way}: expected {LIMIT} items, found {ask(n)}"
    together.wait()
    taken: list[float] = []
    begin = time.perf_counter()
    while (start := time.perf_counter()) < begin + SECONDS:
        ask(len(taken))
        taken.append(time.perf_counter() - start)
    results.put(taken)


def _run(way: str, catalogue: Catalogue, clients: int) -> list[float]:
    """Returns the seconds of every request of all clients."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(clients), context.Queue()
    started = [
        context.Process(target=_client, args=(way, catalogue, together, results), daemon=True) for _ in range(clients)
    ]
    for process in started:
        process.start()
    taken = [seconds for _ in started for seconds in results.get(timeout=120)]
    for process in started:
        process.join()
    return taken


def _table(taken: Mapping[str, list[float]], size: int, clients: int) -> Table:
    table = Table("way", "requests/s", "p50 ms", "p99 ms", "beside the bare statement")
    table.title = f"{size:,} items, {clients} client{'s' * (clients > 1)}"
    rates = {way: len(seconds) / SECONDS for way, seconds in taken.items()}
    p99s = {way: float(np.percentile(seconds, 99)) for way, seconds in taken.items()}
    limit = next(iter(taken))
    for way, seconds in taken.items():
        beside = ""
        if way != limit:
            beside = f"{rates[way] / rates[limit]:.0%} of the rate, {p99s[way] / p99s[limit]:.1f} times the p99"
        table.add_row(way, f"{rates[way]:,.0f}", f"{1000 * np.median(seconds):.2f}", f"{1000 * p99s[way]:.2f}", beside)
    table.caption = f"to reach: {RATE_GOAL:.0%} of the rate, {LATENCY_GOAL:g} times the p99"
    return table


if __name__ == "__main__":
    main()
