"""Computes the cost of a million events, from the stack's own buffers and memory, and of a run of the Glue job."""

from dataclasses import dataclass

from local.cost.idle import Line
from local.cost.prices import Prices
from local.graph.recorder import Graph, Node

EVENTS = 1_000_000
EVENT_KB, RECORD_KB = 1.0, 2.0
"""Kilobytes of an event, and of its line with recommendations. Both are assumed, on the high side.

The sample shop's events have 0.14 to 0.42 KB, 0.28 on average, and their lines with five recommendations 0.5 to 1.6 KB,
0.97 on average (measured on 2,000 events of `local.events` and 200 lines of a run). A real site's carry a longer
history.
"""
CALL_SECONDS = 1.0
"""The longest call of a batch with a warm function, rounded up (docs/streaming.md has the measured time)."""
LOGGED_KB_A_CALL = 4.0
"""Kilobytes that both functions log for a batch, with the platform's own lines."""
REQUEST_SECONDS = 0.05
"""Seconds that a warm function takes for a request of the API: assumed, on the high side."""
LOGGED_KB_A_REQUEST = 2.0
"""Kilobytes that the API logs for a request: its access log, the function's lines, and the platform's own."""
TRACED_SHARE = 0.05
"""The share of requests that X-Ray samples by default, beside one a second (developer guide, "Sampling rules")."""
GLUE_MINUTES = 10.0
"""Minutes of a run of the job for a shop of some million ratings, with its start."""
DPU = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8}
"""Data processing units of a worker (AWS Glue Developer Guide, "Worker types")."""
CRAWLER_DPU, CRAWLER_MINUTES = 2, 10
"""Units of a crawler, and the least minutes that a run is charged for (AWS's page on Glue pricing)."""

_KB_A_GB = 1024 * 1024
_FIREHOSE_STEP_KB = 5.0
"""Firehose rounds each record up to this size."""


@dataclass(frozen=True)
class Rate:
    """The rate of the events while they come. It decides how many events a batch and an object get."""

    events_per_second: float = 100.0

    def batch(self, largest_kb: float, seconds: float, size_kb: float) -> float:
        """Returns the number of records in a buffer when the first of its two hints is reached."""
        return max(1.0, min(largest_kb / size_kb, self.events_per_second * seconds))


def lines(graph: Graph, prices: Prices, rate: Rate) -> list[Line]:
    """Returns the bill for a million events."""
    delivery = graph.one("FirehoseDeliveryStream").inputs["extendedS3Configuration"]
    functions = [_function(graph, "stream_transformation"), _function(graph, "model_inference")]
    calls = EVENTS / _events_a_call(graph, rate)
    memory = sum(float(node.inputs["memorySize"]) for node in functions) / 1024
    seconds = calls * CALL_SECONDS * memory
    objects = EVENTS / rate.batch(
        float(delivery["bufferingSize"]) * 1024, float(delivery["bufferingInterval"]), RECORD_KB
    )
    kept_kb = RECORD_KB
    if delivery.get("s3BackupMode") == "Enabled":
        objects, kept_kb = 2 * objects, RECORD_KB + EVENT_KB
    stored = EVENTS * kept_kb / _KB_A_GB
    requests, duration, logs, traces = (prices[name] for name in ("lambda_requests", "lambda_arm64", "logs", "traces"))
    firehose, storage, puts = prices["firehose"], prices["s3_storage"], prices["s3_puts"]
    streamed = EVENTS * _FIREHOSE_STEP_KB / _KB_A_GB
    logged = calls * LOGGED_KB_A_CALL / _KB_A_GB
    return [
        *_stream(graph, prices),
        Line("Firehose", f"{streamed:.1f} GB", streamed * firehose.amount, str(firehose)),
        Line("Lambda: calls", f"{2 * calls:,.0f}", 2 * calls / 1e6 * requests.amount, str(requests)),
        Line("Lambda: duration", f"{seconds:,.0f} GB-seconds", seconds * duration.amount, str(duration)),
        Line("S3: objects", f"{objects:,.0f}", objects / 1000 * puts.amount, str(puts)),
        Line("S3: storage for a month", f"{stored:.1f} GB", stored * storage.amount, str(storage)),
        Line("CloudWatch Logs", f"{1024 * logged:,.0f} MB", logged * logs.amount, str(logs)),
        Line("X-Ray, at most", f"{calls:,.0f} traces", calls / 1e6 * traces.amount, str(traces)),
    ]


def api_lines(graph: Graph, prices: Prices) -> list[Line]:
    """The bill for a million requests for recommendations."""
    memory = float(_function(graph, "recommendation_api").inputs["memorySize"]) / 1024
    seconds, logged = EVENTS * REQUEST_SECONDS * memory, EVENTS * LOGGED_KB_A_REQUEST / _KB_A_GB
    gateway, requests = prices["http_api_requests"], prices["lambda_requests"]
    duration, logs, traces = prices["lambda_arm64"], prices["logs"], prices["traces"]
    return [
        Line("API Gateway", "1,000,000 requests", gateway.amount, str(gateway)),
        Line("Lambda: calls", "1,000,000", requests.amount, str(requests)),
        Line("Lambda: duration", f"{seconds:,.0f} GB-seconds", seconds * duration.amount, str(duration)),
        Line("CloudWatch Logs", f"{logged:.1f} GB", logged * logs.amount, str(logs)),
        Line("X-Ray", f"{EVENTS * TRACED_SHARE:,.0f} traces", EVENTS * TRACED_SHARE / 1e6 * traces.amount, str(traces)),
    ]


def glue_lines(graph: Graph, prices: Prices) -> list[Line]:
    """Returns the bill for one run of the job and of each crawler."""
    job = graph.one("glue/job:Job").inputs
    price = prices["glue_flex" if job.get("executionClass") == "FLEX" else "glue_standard"]
    units = float(job["numberOfWorkers"]) * DPU[job["workerType"]]
    crawl = prices["glue_standard"]
    return [
        Line(
            "Glue job, a run",
            f"{units:.0f} DPU × {GLUE_MINUTES:.0f} min",
            units * GLUE_MINUTES / 60 * price.amount,
            str(price),
        ),
        *(
            Line(
                "Glue crawler, a run",
                f"{CRAWLER_DPU} DPU × {CRAWLER_MINUTES} min",
                CRAWLER_DPU * CRAWLER_MINUTES / 60 * crawl.amount,
                str(crawl),
            )
            for _ in graph.of("glue/crawler:Crawler")
        ),
    ]


def _stream(graph: Graph, prices: Prices) -> list[Line]:
    stream = graph.one("kinesis/stream:Stream").inputs
    if stream["streamModeDetails"]["streamMode"] != "ON_DEMAND":
        price = prices["kinesis_put_units"]
        return [Line("Kinesis: in", "1,000,000 PUT units", price.amount, str(price))]
    size = EVENTS * EVENT_KB / _KB_A_GB
    written, read = prices["kinesis_on_demand_in"], prices["kinesis_on_demand_out"]
    return [
        Line("Kinesis: in", f"{size:.1f} GB", size * written.amount, str(written)),
        Line("Kinesis: out", f"{size:.1f} GB", size * read.amount, str(read)),
    ]


def _events_a_call(graph: Graph, rate: Rate) -> float:
    """Returns the number of events in a call of the transformation, by Firehose's Lambda buffer or the event source's
    batch."""
    for mapping in graph.of("EventSourceMapping"):
        window = float(mapping.inputs.get("maximumBatchingWindowInSeconds") or 1)
        return rate.batch(float(mapping.inputs["batchSize"]), window, 1.0)
    configuration = graph.one("FirehoseDeliveryStream").inputs["extendedS3Configuration"]["processingConfiguration"]
    hints = {
        entry["parameterName"]: float(entry["parameterValue"])
        for entry in configuration["processors"][0]["parameters"]
        if entry["parameterName"].startswith("Buffer")
    }
    # 1 MB and 60 s are Firehose's own hints for a Lambda processor.
    return rate.batch(1024 * hints.get("BufferSizeInMBs", 1.0), hints.get("BufferIntervalInSeconds", 60.0), EVENT_KB)


def _function(graph: Graph, folder: str) -> Node:
    return next(node for node in graph.of("lambda/function:Function") if node.inputs["handler"].split(".")[1] == folder)
