"""Stream: events from Kinesis through Firehose and two functions to recommendations on S3."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_range
from components.event_source import event_source_link, map_event_source
from components.firehose import Source, encryption, processor, read_and_transform
from components.function import PythonFunction, WatchedFunction
from components.iam import Link, ScopedRole, Statement, use_key
from components.live_changes import backup_stays, refusing, shards_by_half_or_double
from components.network import PlacementArgs
from components.storage import BucketReference, PrivateBucket
from contracts.environment import EVENT_STREAM_NAME, MODEL_INFERENCE_FUNCTION, RECOMMENDATION_LIMIT

RECOMMENDATIONS_PREFIX = "recommendations/!{timestamp:yyyy/MM/dd/HH}/"
ERROR_PREFIX = "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
DELIVERED_TO = ("recommendations/*", "processing-failed/*")
BACKED_UP_TO = ("source/*", "source-errors/*")
"""The prefixes that the delivery role may write to. For an S3 destination without format conversion and dynamic
partitioning, the one error output type is `processing-failed` (Firehose developer guide, "Custom prefixes for Amazon S3
objects")."""

INFERENCE_TIMEOUT_SECONDS = 60
"""Inference's timeout is below the transformation's, so that the caller can try again, or report the timeout."""
TRANSFORMATION_TIMEOUT_SECONDS = 240
"""Firehose waits five minutes for an answer and drops one that comes later, so the function must be faster."""

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


class StreamingRecommenderArgs(TypedDict):
    """The stream's settings, the functions' network, and their access to the vector store."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[StreamingRecommenderSettings]
    placement: PlacementArgs
    store: Link
    """The vector store."""
    code: BucketReference
    """The bucket that the functions' code is uploaded to."""


class StreamingRecommender(Component):
    """Kinesis → Firehose → stream transformation → model inference → recommendations on S3."""

    event_stream_name: pulumi.Output[str]
    delivery_stream_name: pulumi.Output[str]
    recommendations_bucket: pulumi.Output[str]
    inference: WatchedFunction
    """Model inference, for alarms."""
    transformation: WatchedFunction
    """The stream transformation, for alarms."""

    def __init__(self, name: str, args: StreamingRecommenderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = STREAM_DEFAULTS | args.get("settings", {})
        _check_ranges(settings)
        bucket = PrivateBucket(
            f"{name}-recommendations",
            {"common": self.common, "expire_days": settings.get("expire_days")},
            self.child,
        )
        stream = self._stream(name, settings)
        inference = self._inference(name, args, settings)
        to_inference = _to_inference(inference, settings)
        # A function of its own for each way in: a stack that changes it keeps the old one whole until the new one is
        # there.
        if settings["delivery"] == Delivery.FIREHOSE_TRANSFORM:
            transformation = self._transformation(f"{name}-transformation", args, [to_inference])
            delivery = self._delivery(name, settings, bucket, Source(stream, transformation))
        else:
            delivery = self._delivery(name, settings, bucket, None)
            by_kinesis = event_source_link(stream, delivery, bucket, self.kms_key_arn)
            transformation = self._transformation(f"{name}-event-transformation", args, [to_inference, by_kinesis])
            map_event_source(
                f"{name}-event-source", stream, transformation.alias_arn, bucket.arn, self.tags, self.child
            )
        self.event_stream_name = stream.name
        self.delivery_stream_name = delivery.name
        self.recommendations_bucket = bucket.name
        self.producer_link = self._producer_link(stream)
        """Everything that a function needs to put events on the stream."""
        self.inference = inference.watched
        self.transformation = transformation.watched
        self.register_attributes()

    def _stream(self, name: str, settings: StreamingRecommenderSettings) -> aws.kinesis.Stream:
        shards = settings["shards"]
        return aws.kinesis.Stream(
            f"{name}-events",
            shard_count=shards or None,
            stream_mode_details={"stream_mode": "PROVISIONED" if shards else "ON_DEMAND"},
            retention_period=settings["stream_retention_hours"],
            encryption_type="KMS",
            kms_key_id=self.kms_key_arn or "alias/aws/kinesis",
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(
                self.keeping_data(), refusing(f"{name}-events", shards_by_half_or_double)
            ),
        )

    def _producer_link(self, stream: aws.kinesis.Stream) -> Link:
        statements: list[Statement] = [
            {"sid": "PutEvents", "actions": ["kinesis:PutRecords"], "resources": [stream.arn]}
        ]
        if self.kms_key_arn is not None:
            # Kinesis developer guide, "Permissions to use user-generated KMS keys": a producer needs no more.
            statements.append(
                {"sid": "EncryptEvents", "actions": ["kms:GenerateDataKey"], "resources": [self.kms_key_arn]}
            )
        return {"variables": {EVENT_STREAM_NAME: stream.name}, "statements": statements, "security_group_ids": []}

    def _inference(
        self, name: str, args: StreamingRecommenderArgs, settings: StreamingRecommenderSettings
    ) -> PythonFunction:
        return PythonFunction(
            f"{name}-inference",
            {
                "common": self.common,
                "label": "inference",
                "source": "model_inference",
                "description": "Recommends items for a batch of users with the active model version",
                "code_bucket": args["code"]["name"],
                "links": [args["store"]],
                "timeout_seconds": INFERENCE_TIMEOUT_SECONDS,
                "memory_mb": settings["inference_memory_mb"],
                "subnet_ids": args["placement"]["subnet_ids"],
                "security_group_ids": [args["placement"]["s3_client_security_group_id"]],
            },
            self.child,
        )

    def _transformation(self, name: str, args: StreamingRecommenderArgs, links: Sequence[Link]) -> PythonFunction:
        # Outside the VPC: without NAT, a function in it could not reach Lambda's API.
        return PythonFunction(
            name,
            {
                "common": self.common,
                "label": "transformation",
                "source": "stream_transformation",
                "description": "Turns a batch of events into recommendation records, with one inference call",
                "code_bucket": args["code"]["name"],
                "links": links,
                "timeout_seconds": TRANSFORMATION_TIMEOUT_SECONDS,
                "memory_mb": 512,
            },
            self.child,
        )

    def _delivery(
        self,
        name: str,
        settings: StreamingRecommenderSettings,
        bucket: PrivateBucket,
        source: Source | None,
    ) -> aws.kinesis.FirehoseDeliveryStream:
        logs = aws.cloudwatch.LogGroup(
            f"{name}-delivery-logs",
            retention_in_days=self.stack["log_retention_days"],
            kms_key_id=self.kms_key_arn,
            tags=self.tags,
            opts=self.child,
        )
        log_stream = aws.cloudwatch.LogStream(
            f"{name}-delivery-errors", name="S3Delivery", log_group_name=logs.name, opts=self.child
        )
        role = self._delivery_role(name, settings, bucket, source, logs)
        s3: aws.kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationArgsDict = {
            "role_arn": role.arn,
            "bucket_arn": bucket.arn,
            "prefix": RECOMMENDATIONS_PREFIX,
            "error_output_prefix": ERROR_PREFIX,
            "buffering_size": settings["delivery_buffer_mb"],
            "buffering_interval": settings["delivery_buffer_seconds"],
            "compression_format": "GZIP" if settings["compress"] else "UNCOMPRESSED",
            "cloudwatch_logging_options": {
                "enabled": True,
                "log_group_name": logs.name,
                "log_stream_name": log_stream.name,
            },
        }
        if source:
            parameters = processor(
                source.transformation, settings["processor_buffer_mb"], settings["processor_buffer_seconds"]
            )
            s3["processing_configuration"] = {
                "enabled": True,
                "processors": [{"type": "Lambda", "parameters": parameters}],
            }
        if settings["backup_source"]:
            s3["s3_backup_mode"] = "Enabled"
            s3["s3_backup_configuration"] = {
                "role_arn": role.arn,
                "bucket_arn": bucket.arn,
                "prefix": "source/!{timestamp:yyyy/MM/dd/HH}/",
                "error_output_prefix": "source-errors/!{firehose:error-output-type}/",
                "compression_format": "GZIP",
            }
        return aws.kinesis.FirehoseDeliveryStream(
            f"{name}-delivery",
            destination="extended_s3",
            kinesis_source_configuration=(
                {"kinesis_stream_arn": source.stream.arn, "role_arn": role.arn} if source else None
            ),
            # Records from Kinesis are encrypted there, and Firehose refuses to be asked for it.
            server_side_encryption=None if source else encryption(self.kms_key_arn),
            extended_s3_configuration=s3,
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(self.child, refusing(f"{name}-delivery", backup_stays)),
        )

    def _delivery_role(
        self,
        name: str,
        settings: StreamingRecommenderSettings,
        bucket: PrivateBucket,
        source: Source | None,
        logs: aws.cloudwatch.LogGroup,
    ) -> ScopedRole:
        # The statements of Firehose's guide, "Grant Firehose access to an Amazon S3 destination".
        statements: list[Statement] = [
            {
                "sid": "Deliver",
                "actions": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                "resources": [
                    pulumi.Output.concat(bucket.arn, "/", place)
                    for place in (*DELIVERED_TO, *(BACKED_UP_TO if settings["backup_source"] else ()))
                ],
            },
            {
                "sid": "FindBucket",
                "actions": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                "resources": [bucket.arn],
            },
            {
                "sid": "WriteErrorLogs",
                "actions": ["logs:PutLogEvents"],
                "resources": [pulumi.Output.concat(logs.arn, ":log-stream:*")],
            },
            *use_key(self.kms_key_arn, write=True),
        ]
        if source:
            statements += read_and_transform(source)
        return ScopedRole(
            f"{name}-delivery",
            {
                "common": self.common,
                "service": "firehose.amazonaws.com",
                "statements": statements,
                "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id,
            },
            self.child,
        )


def _to_inference(inference: PythonFunction, settings: StreamingRecommenderSettings) -> Link:
    return {
        "variables": {
            MODEL_INFERENCE_FUNCTION: inference.alias_arn,
            RECOMMENDATION_LIMIT: str(settings["recommendation_limit"]),
        },
        "statements": [
            {"sid": "CallInference", "actions": ["lambda:InvokeFunction"], "resources": [inference.alias_arn]}
        ],
        "security_group_ids": [],
    }


def _check_ranges(settings: StreamingRecommenderSettings) -> None:
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
