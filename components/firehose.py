"""The delivery stream's source: Firehose reads the event stream itself, or takes records by direct put."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.function import PythonFunction
from components.iam import Statement

PROCESSOR_DEFAULTS = {"BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}
"""Firehose's own defaults. Given explicitly, they show as a change on every preview, so they are left out."""


@dataclass(frozen=True)
class Source:
    """The stream that Firehose reads and the function that transforms its records. Without it, Firehose takes direct
    puts."""

    stream: aws.kinesis.Stream
    transformation: PythonFunction


def read_and_transform(source: Source) -> list[Statement]:
    """Returns the delivery role's permissions on the source; those on the destination come on top."""
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


def encryption(
    key_arn: pulumi.Input[str] | None,
) -> aws.kinesis.FirehoseDeliveryStreamServerSideEncryptionArgsDict:
    """Returns the encryption of records that are put to Firehose, for as long as it buffers them."""
    if key_arn:
        return {"enabled": True, "key_type": "CUSTOMER_MANAGED_CMK", "key_arn": key_arn}
    return {"enabled": True, "key_type": "AWS_OWNED_CMK"}


def processor(
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
