"""The delivery stream: Firehose reads the event stream itself or takes records by direct put, and writes them to S3."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.common import Component
from components.function import PythonFunction
from components.iam import ScopedRole, Statement, use_key
from components.live_changes import backup_stays, refusing
from components.private_bucket import PrivateBucket
from components.stream_settings import StreamingRecommenderSettings

RECOMMENDATIONS_PREFIX = "recommendations/!{timestamp:yyyy/MM/dd/HH}/"
ERROR_PREFIX = "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
DELIVERED_TO = ("recommendations/*", "processing-failed/*")
BACKED_UP_TO = ("source/*", "source-errors/*")
"""The prefixes that the delivery role may write to. For an S3 destination without format conversion and dynamic
partitioning, the one error output type is `processing-failed` (Firehose developer guide, "Custom prefixes for Amazon S3
objects")."""

PROCESSOR_DEFAULTS = {"BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}
"""Firehose's own defaults. Given explicitly, they show as a change on every preview, so they are left out."""


@dataclass(frozen=True)
class Source:
    """The stream that Firehose reads and the function that transforms its records. Without it, Firehose takes direct
    puts."""

    stream: aws.kinesis.Stream
    transformation: PythonFunction


def deliver_to(
    owner: Component,
    name: str,
    settings: StreamingRecommenderSettings,
    bucket: PrivateBucket,
    source: Source | None,
) -> aws.kinesis.FirehoseDeliveryStream:
    """Returns the delivery stream that writes recommendations to the bucket.

    It reads and transforms the source's events; without a source, the transformation puts finished lines to it.
    """
    logs = aws.cloudwatch.LogGroup(
        f"{name}-delivery-logs",
        retention_in_days=owner.stack["log_retention_days"],
        kms_key_id=owner.kms_key_arn,
        tags=owner.tags,
        opts=owner.child,
    )
    log_stream = aws.cloudwatch.LogStream(
        f"{name}-delivery-errors", name="S3Delivery", log_group_name=logs.name, opts=owner.child
    )
    role = _delivery_role(owner, name, settings, bucket, source, logs)
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
        parameters = _processor(
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
        # Records from Kinesis are encrypted on the stream, and Firehose refuses the setting.
        server_side_encryption=None if source else _encryption(owner.kms_key_arn),
        extended_s3_configuration=s3,
        tags=owner.tags,
        opts=pulumi.ResourceOptions.merge(owner.child, refusing(f"{name}-delivery", backup_stays)),
    )


def _delivery_role(
    owner: Component,
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
        *use_key(owner.kms_key_arn, write=True),
    ]
    if source:
        statements += _read_and_transform(source)
    return ScopedRole(
        f"{name}-delivery",
        {
            "common": owner.common,
            "service": "firehose.amazonaws.com",
            "statements": statements,
            "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=owner)).account_id,
        },
        owner.child,
    )


def _read_and_transform(source: Source) -> list[Statement]:
    """Returns the delivery role's permissions on the source."""
    return [
        {
            "sid": "ReadEvents",
            "actions": [
                "kinesis:DescribeStream",
                "kinesis:ListShards",
                "kinesis:GetShardIterator",
                "kinesis:GetRecords",
            ],
            "resources": [source.stream.arn],
        },
        {
            "sid": "Transform",
            "actions": ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"],
            "resources": [source.transformation.alias_arn],
        },
    ]


def _encryption(
    key_arn: pulumi.Input[str] | None,
) -> aws.kinesis.FirehoseDeliveryStreamServerSideEncryptionArgsDict:
    """Returns the encryption of records that are put to Firehose, for as long as it buffers them."""
    if key_arn:
        return {"enabled": True, "key_type": "CUSTOMER_MANAGED_CMK", "key_arn": key_arn}
    return {"enabled": True, "key_type": "AWS_OWNED_CMK"}


def _processor(
    transformation: PythonFunction, buffer_mb: float, buffer_seconds: int
) -> list[aws.kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorParameterArgsDict]:
    """Returns the parameters that differ from Firehose's own defaults."""
    asked = {
        "BufferSizeInMBs": f"{buffer_mb:g}",
        "BufferIntervalInSeconds": str(buffer_seconds),
    }
    given: dict[str, pulumi.Input[str]] = {
        parameter: value for parameter, value in asked.items() if value != PROCESSOR_DEFAULTS[parameter]
    }
    return [
        {"parameter_name": parameter, "parameter_value": value}
        for parameter, value in {"LambdaArn": transformation.alias_arn, **given}.items()
    ]
