"""Logs and metrics of every function (Powertools for AWS Lambda): one logger, one metrics namespace, no personal data.

Traces come from X-Ray's active tracing, which needs no code. The SDK for subsegments would add a package for figures
that the latency metrics by stage already give.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from contracts.metrics import NAMESPACE

__all__ = ["Logger", "MetricUnit", "Metrics", "count", "logger_of", "metrics_of", "timed"]


def logger_of(function: str) -> Logger:
    return Logger(service=function, log_uncaught_exceptions=False)


def metrics_of(function: str) -> Metrics:
    # An invocation that fails early has measured nothing, and its error says more than this warning.
    warnings.filterwarnings("ignore", message="No application metrics to publish")
    return Metrics(namespace=NAMESPACE, service=function)


def count(metrics: Metrics, name: str, value: int) -> None:
    if value:
        metrics.add_metric(name, MetricUnit.Count, value)


@contextmanager
def timed(metrics: Metrics, stage: str) -> Iterator[None]:
    """Adds the metric `<stage>Milliseconds`, also where the stage fails."""
    start = time.perf_counter()
    try:
        yield
    finally:
        metrics.add_metric(f"{stage}Milliseconds", MetricUnit.Milliseconds, (time.perf_counter() - start) * 1000)
