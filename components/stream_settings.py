"""Settings of the stream, with their defaults and the limits that AWS sets."""

from enum import StrEnum
from typing import TypedDict

from components.common import check_range

PROCESSOR_BUFFER_MB = (0.2, 3.0)
PROCESSOR_BUFFER_SECONDS = (0, 900)
DELIVERY_BUFFER_MB = (1, 128)
DELIVERY_BUFFER_SECONDS = (0, 900)
STREAM_RETENTION_HOURS = (24, 8760)
SHARDS = (0, 20_000)
EXPIRE_DAYS = (1, 2**31 - 1)
RECOMMENDATIONS = (1, 100)
"""Limits of Firehose's and Kinesis Data Streams' API references."""


class Delivery(StrEnum):
    """The service that calls the stream transformation."""

    FIREHOSE_TRANSFORM = "firehose_transform"
    """Firehose calls it with the records that it has buffered."""
    EVENT_SOURCE = "event_source"
    """Kinesis calls it without a buffer; the function puts its lines to Firehose."""


class StreamingRecommenderSettings(TypedDict, total=False):
    """Settings of the stream, as given under `recommender:stream` in the stack's configuration."""

    recommendation_limit: int
    """Recommendations for an event, 1 to 100."""
    delivery: Delivery
    """`firehose_transform` or `event_source`. The latter has no buffer before the function: lower latency, more calls,
    and the processor's buffer settings have no effect."""
    shards: int
    """Provisioned shards (1 MB or 1,000 records a second in, each); 0: on demand. A change of a live stream is at most
    to double or half."""
    stream_retention_hours: int
    """Hours that events stay on the stream, 24 to 8,760."""
    processor_buffer_mb: float
    """Megabytes of records that Firehose buffers for one call of the transformation, 0.2 to 3. The answer to a megabyte
    of small events would be larger than the 6 MB that Lambda allows."""
    processor_buffer_seconds: int
    """The most seconds that Firehose buffers records for one call, 0 to 900."""
    delivery_buffer_mb: int
    """Megabytes of recommendations that Firehose buffers for one object on S3, 1 to 128."""
    delivery_buffer_seconds: int
    """The most seconds that Firehose buffers recommendations for one object, 0 to 900."""
    inference_memory_mb: int
    """Memory of the inference function in MB, 128 to 10,240; 1,769 is one whole processor."""
    compress: bool
    """True compresses the recommendations with GZIP."""
    backup_source: bool
    """True also keeps the incoming events on S3, under `source/`. Firehose does not allow to switch it off again (API
    reference, S3BackupMode), so that is refused."""
    expire_days: int
    """Days after which recommendations are deleted. Default: never."""


STREAM_DEFAULTS: StreamingRecommenderSettings = {
    "recommendation_limit": 5,
    "delivery": Delivery.FIREHOSE_TRANSFORM,
    "shards": 1,
    "stream_retention_hours": STREAM_RETENTION_HOURS[0],
    "processor_buffer_mb": PROCESSOR_BUFFER_MB[0],
    "processor_buffer_seconds": 60,
    "delivery_buffer_mb": 5,
    "delivery_buffer_seconds": 60,
    "inference_memory_mb": 1769,
    "compress": False,
    "backup_source": False,
}


def check(settings: StreamingRecommenderSettings) -> None:
    """Raises `ValueError` for a value outside of its limits."""
    asked: list[tuple[str, float, tuple[float, float]]] = [
        ("processor_buffer_mb", settings["processor_buffer_mb"], PROCESSOR_BUFFER_MB),
        ("processor_buffer_seconds", settings["processor_buffer_seconds"], PROCESSOR_BUFFER_SECONDS),
        ("delivery_buffer_mb", settings["delivery_buffer_mb"], DELIVERY_BUFFER_MB),
        ("delivery_buffer_seconds", settings["delivery_buffer_seconds"], DELIVERY_BUFFER_SECONDS),
        ("stream_retention_hours", settings["stream_retention_hours"], STREAM_RETENTION_HOURS),
        ("shards", settings["shards"], SHARDS),
        ("recommendation_limit", settings["recommendation_limit"], RECOMMENDATIONS),
        ("expire_days", settings.get("expire_days", EXPIRE_DAYS[0]), EXPIRE_DAYS),
    ]
    for setting, value, limits in asked:
        check_range("StreamingRecommender", setting, value, limits)
