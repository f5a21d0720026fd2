"""The alarms: a row for each way in which the system fails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.catalog_refresh import WatchedRefresh
from components.function import WatchedFunction
from components.recommendation_api import WatchedApi
from components.vector_store import WatchedDatabase
from contracts.metrics import (
    ANSWERS_FROM_MEMORY,
    CATALOG_REFRESHES,
    NAMESPACE,
    RECORDS_FAILED,
    RULES_PROBLEMS,
    VERSION_FALLBACKS,
)

THROTTLED = "ApiThrottled"
"""The metric of the API's requests over its limit."""

PERIOD_SECONDS = 300
"""The period of every alarm."""

GIB = 1024**3
BYTES_A_CONNECTION = 9_531_392
MAX_CONNECTIONS = 5000
"""PostgreSQL's `max_connections` on RDS: `LEAST({DBInstanceClassMemory/9531392},5000)` (RDS User Guide, "Quotas and
constraints": maximum number of database connections)."""
TAKEN_GIB, TAKEN_SHARE = 0.3, 0.03
"""`DBInstanceClassMemory` is less than the class's memory, by about what the operating system and RDS take."""
SMALL_SIZES_GIB = {"micro": 1, "small": 2, "medium": 4}
LARGE_GIB = {"t": 8, "m": 8, "r": 16}
"""Memory of the `large` size by the letter that a class's type begins with; each `xlarge` is two of them."""


@dataclass(frozen=True)
class Alarm:
    """A metric that stays above or below a limit for some periods of five minutes."""

    name: str
    metric: str
    """Namespace and name: `AWS/Kinesis GetRecords.IteratorAgeMilliseconds`."""
    statistic: str
    """Such as `Sum`, or a percentile such as `p99`."""
    dimensions: Mapping[str, pulumi.Input[str]]
    why: str
    above: float | None = None
    below: pulumi.Input[float] | None = None
    periods: int = 1
    without_data: str = "notBreaching"
    """The verdict on a period without data (CloudWatch API Reference, PutMetricAlarm: `TreatMissingData`)."""


def stream_alarms(event_stream: pulumi.Input[str], delivery_stream: pulumi.Input[str]) -> list[Alarm]:
    """Returns the alarms of the way from Kinesis to S3."""
    stream, delivery = {"StreamName": event_stream}, {"DeliveryStreamName": delivery_stream}
    late = "Events wait in the stream for over 5 minutes: the delivery stream does not keep up, or cannot read."
    throttled = "Producers are throttled: the stream needs more shards, or on-demand mode."
    old = "The oldest record that is not yet on S3 is over 15 minutes old: the delivery stream's error log says why."
    failing = "Calls of the transformation fail: records are retried, then kept under processing-failed/ for a replay."
    # With an event source the function itself keeps events that can never succeed, and none of AWS's metrics counts
    # them.
    poison = "Events are kept under processing-failed/ unanswered: the log of the transformation counts the reasons."
    waits, throttles = "GetRecords.IteratorAgeMilliseconds", "WriteProvisionedThroughputExceeded"
    return [
        Alarm("iterator-age", f"AWS/Kinesis {waits}", "Maximum", stream, late, above=5 * 60 * 1000),
        Alarm("write-throttles", f"AWS/Kinesis {throttles}", "Sum", stream, throttled, above=0, periods=3),
        Alarm("delivery-freshness", "AWS/Firehose DeliveryToS3.DataFreshness", "Maximum", delivery, old, above=15 * 60),
        Alarm("processing-failures", "AWS/Firehose ExecuteProcessing.Success", "Average", delivery, failing, below=1),
        Alarm(
            "poison-events", f"{NAMESPACE} {RECORDS_FAILED}", "Sum", _service("stream_transformation"), poison, above=0
        ),
    ]


def function_alarms(function: WatchedFunction) -> list[Alarm]:
    """Returns the alarms of a function."""
    label, timeout = function["label"], function["timeout_seconds"]
    by_name = {"FunctionName": function["name"]}
    fails = f"{label} fails at some of its calls: its log says why."
    throttled = f"{label} is throttled: the account's or the function's concurrency is used up."
    slow = f"{label} takes over 80% of its timeout of {timeout} s: give it memory, or smaller batches."
    return [
        Alarm(f"{label}-errors", "AWS/Lambda Errors", "Sum", by_name, fails, above=0),
        Alarm(f"{label}-throttles", "AWS/Lambda Throttles", "Sum", by_name, throttled, above=0),
        Alarm(f"{label}-duration", "AWS/Lambda Duration", "Maximum", by_name, slow, above=0.8 * timeout * 1000),
    ]


def version_alarms(dead_letter_queue: pulumi.Input[str]) -> list[Alarm]:
    """Returns the alarms of model versions that are not loaded, or not served."""
    kept = "A model version was not loaded after all retries: its event lies in the dead-letter queue."
    fallback = "The active model version cannot be served, and the last one answers: the log of inference says why."
    rules = "The rules are not those of rules/rules.json, which is gone or wrong: the log of inference says why."
    messages, queue = "AWS/SQS ApproximateNumberOfMessagesVisible", {"QueueName": dead_letter_queue}
    inference = _service("model_inference")
    return [
        Alarm("load-dead-letters", messages, "Maximum", queue, kept, above=0),
        Alarm("version-fallbacks", f"{NAMESPACE} {VERSION_FALLBACKS}", "Sum", inference, fallback, above=0),
        Alarm("rules-problems", f"{NAMESPACE} {RULES_PROBLEMS}", "Sum", inference, rules, above=0),
    ]


def catalogue_alarms(refresh: WatchedRefresh) -> list[Alarm]:
    """Returns the alarm of a catalogue that is no longer fresh; none without a schedule."""
    if not refresh["enabled"]:
        return []
    minutes = refresh["stale_minutes"]
    stale = f"No refresh of the catalogue was complete for {minutes} minutes: the log of catalogue says why."
    periods = -(-minutes * 60 // PERIOD_SECONDS)
    metric, service = f"{NAMESPACE} {CATALOG_REFRESHES}", _service("catalog_refresh")
    return [Alarm("catalogue-stale", metric, "Sum", service, stale, below=1, periods=periods, without_data="breaching")]


def api_alarms(api: WatchedApi) -> list[Alarm]:
    """Returns the alarms of the HTTP API (API Gateway developer guide, "Monitor CloudWatch metrics for HTTP APIs")."""
    by_id, limit = {"ApiId": api["id"]}, api["latency_ms"]
    fails = "The API answers with 5xx: the functions' logs, or the API's access log, say why."
    slow = f"One request in a hundred takes over {limit} ms: a database or a function is too small."
    refused = "The API refuses requests over its limit: raise requests_per_second or burst, or find who sends them."
    remembered = "The API answers with remembered popular items: the vector store does not answer it."
    fallback = "The active model version cannot be served, and the API answers by the last one: its log says why."
    rules = "The rules are not those of rules/rules.json, which is gone or wrong: the API's log says why."
    service = _service("recommendation_api")
    return [
        Alarm("api-errors", "AWS/ApiGateway 5xx", "Sum", by_id, fails, above=0),
        Alarm("api-latency", "AWS/ApiGateway Latency", "p99", by_id, slow, above=limit, periods=3),
        Alarm("api-throttled", f"{NAMESPACE} {THROTTLED}", "Sum", {}, refused, above=0),
        Alarm("api-from-memory", f"{NAMESPACE} {ANSWERS_FROM_MEMORY}", "Sum", service, remembered, above=0),
        Alarm("api-version-fallbacks", f"{NAMESPACE} {VERSION_FALLBACKS}", "Sum", service, fallback, above=0),
        Alarm("api-rules-problems", f"{NAMESPACE} {RULES_PROBLEMS}", "Sum", service, rules, above=0),
    ]


def database_alarms(database: WatchedDatabase, connections: int) -> list[Alarm]:
    """Returns the alarms of the vector store's instance, which allows so many connections."""
    instance = {"DBInstanceIdentifier": database["identifier"]}
    fifth = pulumi.Output.from_input(database["storage_gb"]).apply(lambda gib: 0.2 * gib * GIB)
    busy = "The vector store's processor is over 90% busy for 15 minutes: it needs a larger instance class."
    full = "Less than a fifth of the vector store's storage is free: a load needs room for a second version."
    many = "The vector store's connections are nearly used up: limit the inference function's concurrency."
    open_ = "AWS/RDS DatabaseConnections"
    return [
        Alarm("database-cpu", "AWS/RDS CPUUtilization", "Average", instance, busy, above=90, periods=3),
        Alarm("database-storage", "AWS/RDS FreeStorageSpace", "Minimum", instance, full, below=fifth),
        Alarm("database-connections", open_, "Maximum", instance, many, above=0.8 * connections),
    ]


def max_connections(instance_class: str) -> int:
    """Returns the connections that RDS for PostgreSQL allows an instance class. Raises `ValueError` for an unknown
    one."""
    _, type_, size = instance_class.split(".")
    large = LARGE_GIB.get(type_[0])
    if size in SMALL_SIZES_GIB:
        memory = SMALL_SIZES_GIB[size]
    elif large and (match := re.fullmatch(r"(\d*)(x?)large", size)):
        memory = large * (2 * int(match[1] or 1) if match[2] else 1)
    else:
        raise ValueError(
            f"Monitoring: expected database_max_connections beside the class {instance_class}, whose memory is unknown"
        )
    usable = (1 - TAKEN_SHARE) * (memory - TAKEN_GIB) * GIB
    return min(int(usable / BYTES_A_CONNECTION), MAX_CONNECTIONS)


def _service(function: str) -> dict[str, pulumi.Input[str]]:
    """The dimension that Powertools gives to a function's own metrics (functions/shared/telemetry.py)."""
    return {"service": function}
