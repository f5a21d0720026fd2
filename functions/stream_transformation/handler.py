"""Lambda: adds recommendations to each event of a batch, between the event stream and the delivery to S3.

Firehose calls it to transform records. Or Kinesis calls it, as an event source, and it puts the lines to Firehose
itself.
"""

from collections import Counter
from typing import Any

from contracts.metrics import RECORDS_FAILED
from functions.shared import environment
from functions.shared.aws_client import aws_client
from functions.shared.deadline import Deadline
from functions.shared.telemetry import MetricUnit, count, logger_of, metrics_of, timed
from functions.stream_transformation import event_source, firehose
from functions.stream_transformation.event_source import KinesisEvent
from functions.stream_transformation.firehose import FirehoseEvent
from functions.stream_transformation.inference import InferenceClient
from functions.stream_transformation.transform import Transformed, transform

FUNCTION = "stream_transformation"
MARGIN_SECONDS = 5.0
"""Seconds of the function's time that are kept for the answer."""
INFERENCE_SECONDS = 60.0
"""The most seconds that one call to inference may take."""

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_client: InferenceClient | None = None
_writer: event_source.DeliveryStream | None = None
_bucket: event_source.FailureBucket | None = None


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: FirehoseEvent | KinesisEvent, context: Any) -> dict[str, Any]:
    """Takes Firehose's transformation event, or Kinesis' event, and returns the answer in the caller's format.

    Raises if inference does not answer in time: Firehose or Lambda then keeps the batch and sends it again.
    """
    deadline = Deadline.of(context, MARGIN_SECONDS)
    with timed(metrics, "Transformation"):
        if "Records" in event:
            for records in event_source.read(event):
                result = transform(records, _warm_client(), deadline)
                event_source.deliver(
                    records, result, _warm_writer(), _warm_bucket(), context.invoked_function_arn, deadline
                )
                _measure(result, len(records))
            return event_source.NOTHING_TO_RETRY
        result = transform(firehose.read(event), _warm_client(), deadline)
        answer = firehose.answer(event, result)
        _measure(result, len(answer["records"]))
        return answer


# Made at the first invocation, so that a wrong environment fails a call, with a log entry, and not the import.


def _warm_client() -> InferenceClient:
    global _client
    if _client is None:
        settings = environment.stream()
        client = aws_client("lambda", connect_seconds=3, read_seconds=INFERENCE_SECONDS)
        _client = InferenceClient(settings.inference_function, settings.limit, client)
    return _client


def _warm_writer() -> event_source.DeliveryStream:
    global _writer
    if _writer is None:
        name = environment.delivery_stream()
        firehose_client = aws_client("firehose", connect_seconds=3, read_seconds=20)
        _writer = event_source.DeliveryStream(name, firehose_client)
    return _writer


def _warm_bucket() -> event_source.FailureBucket:
    global _bucket
    if _bucket is None:
        bucket = environment.failure_bucket()
        _bucket = event_source.FailureBucket(bucket, aws_client("s3", connect_seconds=3, read_seconds=10, tries=3))
    return _bucket


def _measure(result: Transformed, records: int) -> None:
    metrics.add_metric("BatchSize", MetricUnit.Count, records)
    reasons = Counter(result.failures.values())
    count(metrics, RECORDS_FAILED, len(result.failures))
    recommended = result.strategies.total()
    count(metrics, "RecordsRecommended", recommended)
    count(metrics, "RecordsPassedOn", records - recommended - len(result.failures))
    for strategy, number in result.strategies.items():
        count(metrics, f"Records{strategy.capitalize()}", number)
    fields = {"records": records, "failures": dict(reasons), "model_versions": sorted(result.versions)}
    (logger.warning if reasons else logger.info)("transformed", extra={**fields, "strategies": dict(result.strategies)})
