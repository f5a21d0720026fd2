"""Events a second through both functions, beside the naive way and the bare SQL, and the cold start.

    python -m benchmarks.stream [--catalogues 110 10000 100000]

The functions run in this process, one after the other, and pass JSON as on Lambda; PostgreSQL, S3 and the model (of the
sample shop, one epoch) are real.
"""

import argparse
import base64
import contextlib
import io
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import shop
from benchmarks.naive import NaiveWay
from benchmarks.system import BUCKET, services, sha256, tower
from benchmarks.vector_store import BARE
from contracts.artifacts import USER_TOWER
from functions.model_inference import handler as inference
from functions.shared.database import Connection
from functions.shared.serving.connections import EF_SEARCH
from functions.shared.serving.store import Store
from functions.shared.vectors import Vectors
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient
from tests.functions.lambdas import Context, LambdaService, firehose_event

LIMIT = 5
BATCHES = (1, 10, 100, 500)
SECONDS = 4.0
GOALS_AT = 100_000

COLD_START = """
import time
start = time.perf_counter()
import json, os, sys
os.environ["POWERTOOLS_LOG_LEVEL"] = "ERROR"
from functions.model_inference.handler import handler
imported = time.perf_counter()
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "benchmark"
    def get_remaining_time_in_millis(self): return 30_000
sys.stdout = open("/dev/null", "w")
handler(json.loads(sys.argv[1]), Context())
answered = time.perf_counter()
# Not getrusage: its maximum counts what the process was before it became this program.
high_water = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
megabytes = int(high_water.split()[1]) / 1024
print(json.dumps([imported - start, answered - start, megabytes]), file=sys.__stdout__)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogues", type=int, nargs="+", default=[110, 10_000, 100_000])
    arguments = parser.parse_args()
    console = Console(file=sys.stdout)
    for function in (inference, stream):
        function.logger.setLevel("ERROR")
    content, dataset = tower()
    with services() as (connection, s3):
        for size in arguments.catalogues:
            vectors = shop.clustered(size)
            manifest, _ = shop.load_version(connection, vectors, {USER_TOWER: sha256(content)}, dataset)
            s3.put_object(Bucket=BUCKET, Key=f"{manifest.version}/{USER_TOWER}", Body=content)
            store = Store(connection, manifest.version, "cosine", shop.DIM)
            with contextlib.redirect_stdout(io.StringIO()):
                rows = _measure(connection, store, size)
            console.print(_rate_table(rows, size))
        console.print(_cold_start_table())


def _events(count: int, size: int) -> list[dict[str, Any]]:
    dice = np.random.default_rng(7)
    items = dice.integers(size, size=(count, 3))
    return [
        {
            "session_id": f"session-{n}",
            "customer_number": int(dice.integers(size)) if n % 5 else 10**9 + n,
            "city": "Nantes",
            "country": "France",
            "credit_limit": float(dice.integers(100_000)),
            "browse_history": [
                {"product_code": f"I{item}", "quantity": "1", "in_shopping_cart": place == 0}
                for place, item in enumerate(row)
            ],
        }
        for n, row in enumerate(items.tolist())
    ]


@dataclass(frozen=True)
class Measured:
    way: str
    batch: int
    taken: list[float]
    """Returns the seconds of each run."""

    @property
    def rate(self) -> float:
        return self.batch / float(np.median(self.taken))


def _measure(connection: Connection, store: Store, size: int) -> list[Measured]:
    """Returns the ways to measure: the limit first, both functions last, with the largest batch at the end."""
    stream._client = InferenceClient("inference", LIMIT, LambdaService())
    batches = {
        count: firehose_event(*(json.dumps(event).encode() for event in _events(count, size))) for count in BATCHES
    }
    *smaller, largest = BATCHES
    queries = _searched(batches[largest])
    bare, cursor = store.statement(BARE, LIMIT), connection.cursor(binary=True)
    connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
    limit, best = _times(
        lambda: cursor.execute(bare, [list(queries)], prepare=True).fetchall(),
        lambda: _deliver(batches[largest]),
        seconds=3 * SECONDS,
    )
    rows = [Measured("limit: the bare statement", largest, limit)]
    events = itertools.cycle(_events(30, size))
    for way, indexed in (("naive, as the lab: exact scans", False), ("naive, with our index", True)):
        naive = NaiveWay(connection, store, indexed)
        rows.append(Measured(way, 1, *_times(lambda naive=naive: naive.answer(next(events)))))  # type: ignore[misc]
    rows += [
        Measured("both functions", count, *_times(lambda count=count: _deliver(batches[count])))  # type: ignore[misc]
        for count in smaller
    ]
    return [*rows, Measured("both functions", largest, best)]


def _searched(batch: dict[str, Any]) -> Vectors:
    """Returns the vectors that the functions search with, so that the limit is that of the same search."""
    with mock.patch.object(Store, "nearest", autospec=True, side_effect=Store.nearest) as nearest:
        _deliver(batch)
    (call,) = nearest.call_args_list
    vectors: Vectors = call.args[1]
    return vectors


def _rate_table(rows: list[Measured], size: int) -> Table:
    table = Table("way", "batch", "events/s", "p50 ms", "p99 ms", "both functions", title=f"{size:,} items")
    best = rows[-1].rate
    to_reach = {"limit": " (to reach: 60%)", "naive, as the lab": " (to reach: 50)"} if size == GOALS_AT else {}
    for row in rows:
        p50, p99 = np.percentile(row.taken, [50, 99]) * 1000
        what = row.way.split(":")[0]
        beside = {"limit": f"{best / row.rate:.0%} of it", "naive": f"{best / row.rate:.0f} times"}.get(what[:5], "")
        beside += to_reach.get(what, "")
        table.add_row(row.way, str(row.batch), f"{row.rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", beside)
    return table


def _deliver(event: dict[str, Any]) -> None:
    answer = stream.handler(event, Context())
    assert all(record["result"] == "Ok" for record in answer["records"]), "an event got no recommendations"
    assert len(base64.b64decode(answer["records"][0]["data"])) > len("{}")


def _times(*works: Callable[[], Any], seconds: float = SECONDS) -> list[list[float]]:
    """Measures each run of each work, after two warm-ups. They take turns, so that a disturbance affects all."""
    taken: list[list[float]] = [[] for _ in works]
    for work in (*works, *works):
        work()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for work, times in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return taken


def _cold_start_table() -> Table:
    event = {"limit": LIMIT, "requests": [{"id": "1", "user": {"customer_number": 1, "city": "Nantes"}, "items": []}]}
    runs = []
    for _ in range(7):
        done = subprocess.run([sys.executable, "-c", COLD_START, json.dumps(event)], capture_output=True, check=True)
        runs.append(json.loads(done.stdout))
    table = Table("cold start of inference", "median", "best", "to reach")
    for name, place, unit, goal in (
        ("import", 0, "s", ""),
        ("first answer", 1, "s", "0.5 s"),
        ("memory", 2, "MB", "150 MB"),
    ):
        values = [run[place] for run in runs]
        table.add_row(name, f"{np.median(values):.2f} {unit}", f"{min(values):.2f} {unit}", goal)
    return table


if __name__ == "__main__":
    main()
