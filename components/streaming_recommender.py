"""Stream: events from Kinesis through Firehose and two functions to recommendations on S3."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, check_range, common, keeping_data, log_retention
from components.event_source import event_source_statements, map_event_source
from components.firehose import Source, encryption, processor, read_and_transform
from components.function import PythonFunction, WatchedFunction
from components.iam import ScopedRole, Statement, use_key
from components.storage import PrivateBucket

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
RECOMMENDATION_LIMIT = (1, 100)
"""Limits of Firehose's and Kinesis Data Streams' API references."""


class Delivery(StrEnum):
    """The service that calls the stream transformation."""

    FIREHOSE_TRANSFORM = "firehose_transform"
    """Firehose calls it with the records that it has buffered."""
    EVENT_SOURCE = "event_source"
    """Kinesis calls it without a buffer; the function puts its lines to Firehose."""


class StreamingRecommenderSettings(TypedDict):
    """Settings of the stream, as given under `recommender:stream` in the stack's configuration."""

    recommendation_limit: NotRequired[int]
    """Recommendations for an event. Default: 5."""
    delivery: NotRequired[Delivery]
    """`firehose_transform` or `event_source`. The latter has no buffer before the function: lower latency, more calls,
    and the processor's buffer settings have no effect. Default: firehose_transform."""
    shards: NotRequired[int]
    """Provisioned shards (1 MB or 1,000 records a second in, each); 0: on demand. Default: 1."""
    stream_retention_hours: NotRequired[int]
    """Hours that events stay on the stream, 24 to 8,760. Default: 24."""
    processor_buffer_mb: NotRequired[float]
    """Megabytes of records that Firehose buffers for one call of the transformation, 0.2 to 3. Default: 0.2: the answer
    to a megabyte of small events would be larger than the 6 MB that Lambda allows."""
    processor_buffer_seconds: NotRequired[int]
    """The most seconds that Firehose buffers records for one call, 0 to 900. Default: 60."""
    delivery_buffer_mb: NotRequired[int]
    """Megabytes of recommendations that Firehose buffers for one object on S3, 1 to 128. Default: 5."""
    delivery_buffer_seconds: NotRequired[int]
    """The most seconds that Firehose buffers recommendations for one object, 0 to 900. Default: 60."""
    inference_memory_mb: NotRequired[int]
    """Memory of the inference function in MB, 128 to 10,240. Default: 1769, which is one whole processor."""
    compress: NotRequired[bool]
    """True compresses the recommendations with GZIP. Default: false."""
    backup_source: NotRequired[bool]
    """True also keeps the incoming events on S3, under `source/`. Default: false. Firehose does not allow to switch it
    off again (API reference, S3BackupMode): such an `up` fails at the delivery stream."""
    expire_days: NotRequired[int | None]
    """Days after which recommendations are deleted. Default: never."""


class StreamingRecommenderArgs(StreamingRecommenderSettings, CommonArgs):
    """The stream's settings, the functions' network, and their access to the vector store."""

    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    """Security groups that let the inference function reach the vector store and S3."""
    vector_store_environment: Mapping[str, pulumi.Input[str]]
    """Environment variables by which a function finds the artifacts and the database."""
    vector_store_statements: Sequence[Any]
    """The permissions to use them, each a `Statement`."""
    code_bucket: pulumi.Input[str]


class StreamingRecommender(pulumi.ComponentResource):
    """Kinesis → Firehose → stream transformation → model inference → recommendations on S3."""

    event_stream_name: pulumi.Output[str]
    delivery_stream_name: pulumi.Output[str]
    recommendations_bucket: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Output[str]]
    """Stack output → value, for the outputs of the stack that come from this component."""
    functions: Mapping[str, WatchedFunction]
    """The two functions, for alarms."""

    def __init__(self, name: str, args: StreamingRecommenderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:StreamingRecommender", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        _check_ranges(args)
        bucket = PrivateBucket(
            f"{name}-recommendations",
            {**common(args), "expire_days": args.get("expire_days")},
            self._child,
        )
        stream = self._stream(name, args)
        inference = self._inference(name, args)
        if args.get("delivery", Delivery.FIREHOSE_TRANSFORM) == Delivery.FIREHOSE_TRANSFORM:
            transformation = self._transformation(f"{name}-transformation", args, inference)
            delivery = self._delivery(name, args, bucket, Source(stream, transformation))
        else:
            delivery = self._delivery(name, args, bucket, None)
            statements = event_source_statements(stream, delivery, bucket.arn, args.get("kms_key_arn"))
            variables = {"DELIVERY_STREAM_NAME": delivery.name, "FAILURE_BUCKET": bucket.name}
            # A function of its own: a stack that changes its way in keeps the old one whole until the new one is there.
            transformation = self._transformation(
                f"{name}-event-transformation", args, inference, variables, statements
            )
            map_event_source(
                f"{name}-event-source", stream, transformation.alias_arn, bucket.arn, self._tags, self._child
            )
        self.event_stream_name = stream.name
        self.delivery_stream_name = delivery.name
        self.recommendations_bucket = bucket.name
        self.functions = {"inference": inference.watched, "transformation": transformation.watched}
        self.stack_outputs = {
            "recommendations_bucket": self.recommendations_bucket,
            "event_stream_name": self.event_stream_name,
            "delivery_stream_name": self.delivery_stream_name,
        }
        self.register_outputs(
            {
                "eventStreamName": self.event_stream_name,
                "deliveryStreamName": self.delivery_stream_name,
                "recommendationsBucket": self.recommendations_bucket,
            }
        )

    def _stream(self, name: str, args: StreamingRecommenderArgs) -> aws.kinesis.Stream:
        shards = args.get("shards", 1)
        return aws.kinesis.Stream(
            f"{name}-events",
            shard_count=shards or None,
            stream_mode_details={"stream_mode": "PROVISIONED" if shards else "ON_DEMAND"},
            retention_period=args.get("stream_retention_hours", STREAM_RETENTION_HOURS[0]),
            encryption_type="KMS",
            kms_key_id=args.get("kms_key_arn") or "alias/aws/kinesis",
            tags=self._tags,
            opts=keeping_data(self, args),
        )

    def _inference(self, name: str, args: StreamingRecommenderArgs) -> PythonFunction:
        return PythonFunction(
            f"{name}-inference",
            {
                **common(args),
                "source": "model_inference",
                "description": "Recommends items for a batch of users with the active model version",
                "code_bucket": args["code_bucket"],
                "environment": args["vector_store_environment"],
                "statements": args["vector_store_statements"],
                "timeout_seconds": INFERENCE_TIMEOUT_SECONDS,
                "memory_mb": args.get("inference_memory_mb", 1769),
                "subnet_ids": args["subnet_ids"],
                "security_group_ids": args["security_group_ids"],
            },
            self._child,
        )

    def _transformation(
        self,
        name: str,
        args: StreamingRecommenderArgs,
        inference: PythonFunction,
        variables: Mapping[str, pulumi.Input[str]] | None = None,
        statements: Sequence[Statement] = (),
    ) -> PythonFunction:
        # Outside the VPC: without NAT, a function in it could not reach Lambda's API.
        return PythonFunction(
            name,
            {
                **common(args),
                "source": "stream_transformation",
                "description": "Turns a batch of events into recommendation records, with one inference call",
                "code_bucket": args["code_bucket"],
                "environment": {
                    "MODEL_INFERENCE_FUNCTION": inference.alias_arn,
                    "RECOMMENDATION_LIMIT": str(args.get("recommendation_limit", 5)),
                    **(variables or {}),
                },
                "statements": [
                    {
                        "sid": "CallInference",
                        "actions": ["lambda:InvokeFunction"],
                        "resources": [inference.alias_arn],
                    },
                    *statements,
                ],
                "timeout_seconds": TRANSFORMATION_TIMEOUT_SECONDS,
                "memory_mb": 512,
            },
            self._child,
        )

    def _delivery(
        self,
        name: str,
        args: StreamingRecommenderArgs,
        bucket: PrivateBucket,
        source: Source | None,
    ) -> aws.kinesis.FirehoseDeliveryStream:
        logs = aws.cloudwatch.LogGroup(
            f"{name}-delivery-logs",
            retention_in_days=log_retention(args),
            kms_key_id=args.get("kms_key_arn"),
            tags=self._tags,
            opts=self._child,
        )
        log_stream = aws.cloudwatch.LogStream(
            f"{name}-delivery-errors", name="S3Delivery", log_group_name=logs.name, opts=self._child
        )
        role = self._delivery_role(args, name, bucket, source, logs)
        s3: aws.kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationArgsDict = {
            "role_arn": role.arn,
            "bucket_arn": bucket.arn,
            "prefix": RECOMMENDATIONS_PREFIX,
            "error_output_prefix": ERROR_PREFIX,
            "buffering_size": args.get("delivery_buffer_mb", 5),
            "buffering_interval": args.get("delivery_buffer_seconds", 60),
            "compression_format": "GZIP" if args.get("compress") else "UNCOMPRESSED",
            "cloudwatch_logging_options": {
                "enabled": True,
                "log_group_name": logs.name,
                "log_stream_name": log_stream.name,
            },
        }
        if source:
            parameters = processor(
                source.transformation,
                args.get("processor_buffer_mb", PROCESSOR_BUFFER_MB[0]),
                args.get("processor_buffer_seconds", 60),
            )
            s3["processing_configuration"] = {
                "enabled": True,
                "processors": [{"type": "Lambda", "parameters": parameters}],
            }
        if args.get("backup_source"):
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
            server_side_encryption=None if source else encryption(args.get("kms_key_arn")),
            extended_s3_configuration=s3,
            tags=self._tags,
            opts=self._child,
        )

    def _delivery_role(
        self,
        args: StreamingRecommenderArgs,
        name: str,
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
                    for place in (*DELIVERED_TO, *(BACKED_UP_TO if args.get("backup_source") else ()))
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
            *use_key(args.get("kms_key_arn"), write=True),
        ]
        if source:
            statements += read_and_transform(source)
        return ScopedRole(
            f"{name}-delivery",
            {
                "service": "firehose.amazonaws.com",
                "tags": self._tags,
                "statements": statements,
                "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id,
            },
            self._child,
        )


def _check_ranges(args: StreamingRecommenderArgs) -> None:
    asked: list[tuple[str, float, tuple[float, float]]] = [
        ("processor_buffer_mb", args.get("processor_buffer_mb", PROCESSOR_BUFFER_MB[0]), PROCESSOR_BUFFER_MB),
        ("processor_buffer_seconds", args.get("processor_buffer_seconds", 60), PROCESSOR_BUFFER_SECONDS),
        ("delivery_buffer_mb", args.get("delivery_buffer_mb", 5), DELIVERY_BUFFER_MB),
        ("delivery_buffer_seconds", args.get("delivery_buffer_seconds", 60), DELIVERY_BUFFER_SECONDS),
        ("stream_retention_hours", args.get("stream_retention_hours", 24), STREAM_RETENTION_HOURS),
        ("shards", args.get("shards", 1), SHARDS),
        ("recommendation_limit", args.get("recommendation_limit", 5), RECOMMENDATION_LIMIT),
        ("expire_days", args.get("expire_days") or 1, EXPIRE_DAYS),
    ]
    for setting, value, limits in asked:
        check_range("StreamingRecommender", setting, value, limits)
