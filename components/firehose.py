"""What Firehose is told of its source: to read the event stream itself, or to take what is put to it."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.function import PythonFunction
from components.iam import Statement

PROCESSOR_DEFAULTS = {"BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}
"""Named at their defaults they show as a change on every preview, so they are left out."""


@dataclass(frozen=True)
class Source:
    """What Firehose reads, and has transformed, by itself; without one it takes what is put to it."""

    stream: aws.kinesis.Stream
    transformation: PythonFunction


def read_and_transform(source: Source) -> list[Statement]:
    """What the delivery role needs for the source, beside what it needs for the destination."""
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
    """Of records that are put to Firehose, while it has them."""
    if key_arn:
        return {"enabled": True, "key_type": "CUSTOMER_MANAGED_CMK", "key_arn": key_arn}
    return {"enabled": True, "key_type": "AWS_OWNED_CMK"}


def processor(
    transformation: PythonFunction, buffer_mb: float, buffer_seconds: int
) -> list[aws.kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorParameterArgsDict]:
    """The parameters that are not at Firehose's own defaults."""
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
