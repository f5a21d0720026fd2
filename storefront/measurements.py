"""The functions' own metrics of the last minutes, and the reasons for which events failed, read from their logs.

The functions write them in CloudWatch's embedded metric format (CloudWatch User Guide, "Specification: Embedded metric
format"). CloudWatch makes metrics of those lines; the logs have them at once, single values included, and the emulated
CloudWatch has no others.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events import Strategy

WINDOW_SECONDS, STEP_SECONDS = 300, 5
MAX_LINES = 20_000
"""The most lines of a log group that are read for one look at the window."""

API, STREAM, INTAKE = "recommendation_api", "stream_transformation", "event_intake"
"""Services, which are the functions' folders below `functions/`."""
EVENTS, RECORDS, ANSWERS, LATENCY = "BatchSize", "RecordsRecommended", "Answers2xx", "RequestMilliseconds"

REASON = "failed: "
"""The start of the name under which a reason of the transformation's log is counted, as a metric is."""
FAILURES = {
    (INTAKE, "EventsRefused"): "event refused by the intake: not as the contract says",
    (INTAKE, "EventsNotPut"): "event not taken: the stream is busy",
    (API, "Answers4xx"): "API request refused: not as the contract says",
    (API, "Answers5xx"): "API request failed: the vector store does not answer",
    (API, "AnswersFromMemory"): "API answer from memory: the vector store does not answer",
    (API, "VersionFallbacks"): "API answer by an earlier version: the active one cannot be served",
}
"""Service and metric → the failure that it counts."""


@dataclass(frozen=True)
class Point:
    """The values of one metric that one invocation wrote. `at` is in seconds since 1970."""

    at: float
    service: str
    metric: str
    values: Sequence[float]


def read(logs: Any, groups: Sequence[str], now: float | None = None) -> "Window":
    """Reads the last `WINDOW_SECONDS` of the log groups. `logs` is boto3's client."""
    end = math.ceil((time.time() if now is None else now) / STEP_SECONDS) * STEP_SECONDS
    points = [point for group in groups for point in _points(logs, group, end - WINDOW_SECONDS)]
    return Window(end, points)


def _points(logs: Any, group: str, since: float) -> Iterator[Point]:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=int(since * 1000),
        filterPattern="service",  # a key of every line that the functions write, and of none that Lambda adds
        PaginationConfig={"MaxItems": MAX_LINES},
    )
    try:
        for page in pages:
            for event in page["events"]:
                yield from read_line(event["message"], event["timestamp"] / 1000)
    except logs.exceptions.ResourceNotFoundException:
        return  # the function has not run yet


def read_line(line: str, at: float) -> Iterator[Point]:
    """Yields the metrics of a log line, or the reasons for which it says that events failed; it was written at `at`."""
    try:
        document = json.loads(line)
        about = document.get("_aws")
        if about is None:
            found = {REASON + reason: number for reason, number in document.get("failures", {}).items()}
        else:
            metrics = [metric["Name"] for each in about["CloudWatchMetrics"] for metric in each["Metrics"]]
            found, at = {name: document[name] for name in metrics}, about["Timestamp"] / 1000
        for name, values in found.items():
            numbers = [float(value) for value in (values if isinstance(values, list) else [values])]
            yield Point(at, document["service"], name, numbers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return


class Window:
    """The measurements of the window that ends at `end`, a multiple of `STEP_SECONDS`."""

    def __init__(self, end: float, points: Sequence[Point]) -> None:
        self.start = end - WINDOW_SECONDS
        self._points = [point for point in points if self.start <= point.at < end]

    def rates(self, service: str, metric: str) -> list[float]:
        """Returns the metric's sum a second, for each step of the window."""
        sums = [0.0] * (WINDOW_SECONDS // STEP_SECONDS)
        for point in self._of(service, metric):
            sums[self._step(point)] += sum(point.values)
        return [round(total / STEP_SECONDS, 3) for total in sums]

    def percentiles(self, service: str, metric: str, shares: Sequence[float]) -> list[list[float | None]]:
        """Returns, for each share, the metric's percentile in each step; None where nothing was measured."""
        steps: list[list[float]] = [[] for _ in range(WINDOW_SECONDS // STEP_SECONDS)]
        for point in self._of(service, metric):
            steps[self._step(point)] += point.values
        return [[percentile(values, share) for values in steps] for share in shares]

    def percentile(self, service: str, metric: str, share: float) -> float | None:
        """Returns the metric's percentile over the whole window."""
        return percentile([value for point in self._of(service, metric) for value in point.values], share)

    def strategies(self) -> dict[str, int]:
        """Returns strategy → recommendation records made by it."""
        return {each.value: self._total(STREAM, f"Records{each.value.capitalize()}") for each in Strategy}

    def failures(self) -> Counter[str]:
        """Returns reason → number, of what the functions refused or could not do."""
        counts = Counter({told: self._total(*key) for key, told in FAILURES.items()})
        for metric in {point.metric for point in self._points if point.metric.startswith(REASON)}:
            counts[f"event {metric}"] += self._total(STREAM, metric)
        return +counts

    def document(self) -> Mapping[str, Any]:
        """The window as the console shows it: rates a second, latencies in milliseconds."""
        p50, p99 = self.percentiles(API, LATENCY, (0.5, 0.99))
        return {
            "start": self.start,
            "step": STEP_SECONDS,
            "events": self.rates(STREAM, EVENTS),
            "records": self.rates(STREAM, RECORDS),
            "answers": self.rates(API, ANSWERS),
            "p50": p50,
            "p99": p99,
            "latency": {"p50": self.percentile(API, LATENCY, 0.5), "p99": self.percentile(API, LATENCY, 0.99)},
            "strategies": self.strategies(),
        }

    def _of(self, service: str, metric: str) -> Iterator[Point]:
        return (point for point in self._points if (point.service, point.metric) == (service, metric))

    def _step(self, point: Point) -> int:
        return int((point.at - self.start) // STEP_SECONDS)

    def _total(self, service: str, metric: str) -> int:
        return round(sum(sum(point.values) for point in self._of(service, metric)))


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns the smallest value that at least this share of the values do not exceed (nearest rank)."""
    if not values:
        return None
    return round(sorted(values)[max(0, math.ceil(share * len(values)) - 1)], 1)
