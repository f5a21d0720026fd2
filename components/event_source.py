"""`delivery: event_source`: Kinesis calls the transformation directly, which puts its lines to Firehose."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.iam import Link, Statement, use_key
from components.private_bucket import PrivateBucket
from contracts.environment import DELIVERY_STREAM_NAME, FAILURE_BUCKET

BATCH_SIZE = 500
"""The most records of a call: the functions are fastest at this number, and one PutRecordBatch takes as many."""
RETRIES = 5
"""Times that Lambda tries a failed batch again before it sends the batch to the failure destination. The function fails
a batch only if a later try may succeed; it writes events that can never succeed to the same bucket itself."""
GIVEN_UP_PREFIX, FAILED_PREFIX = "aws/lambda/", "processing-failed/"
"""Prefixes of failed events: the first for batches that Lambda gives up (developer guide, "Retain discarded batch
records"), the second for events that the function cannot recommend for. Firehose uses the second one too."""
RECORD_AGE_SECONDS = 6 * 3600
"""The age at which Lambda sends events to the failure destination. An outage that is shorter needs no replay."""


def event_source_link(
    stream: aws.kinesis.Stream,
    delivery: aws.kinesis.FirehoseDeliveryStream,
    bucket: PrivateBucket,
    key_arn: pulumi.Input[str] | None,
) -> Link:
    """Returns the function's link. Under the function's role Lambda reads the stream, and writes the batches that it
    gives up."""
    statements: list[Statement] = [
        {
            # Lambda developer guide, "Process Amazon Kinesis Data Streams records with Lambda".
            "sid": "ReadEvents",
            "actions": [
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ],
            "resources": [stream.arn],
        },
        {"sid": "PutLines", "actions": ["firehose:PutRecordBatch"], "resources": [delivery.arn]},
        {
            "sid": "KeepFailed",
            "actions": ["s3:PutObject"],
            "resources": [pulumi.Output.concat(bucket.arn, f"/{FAILED_PREFIX}*")],
        },
        {
            "sid": "KeepGivenUp",
            "actions": ["s3:PutObject"],
            "resources": [pulumi.Output.concat(bucket.arn, f"/{GIVEN_UP_PREFIX}*")],
        },
        {"sid": "FindBucket", "actions": ["s3:ListBucket"], "resources": [bucket.arn]},
        *use_key(key_arn, write=True),
    ]
    return {
        "variables": {DELIVERY_STREAM_NAME: delivery.name, FAILURE_BUCKET: bucket.name},
        "statements": statements,
        "security_group_ids": [],
    }


def map_event_source(
    name: str,
    stream: aws.kinesis.Stream,
    function_alias_arn: pulumi.Input[str],
    bucket_arn: pulumi.Input[str],
    tags: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None,
    opts: pulumi.ResourceOptions,
) -> aws.lambda_.EventSourceMapping:
    """Makes Lambda call the function with the stream's batches. A batch that is given up goes to the bucket with its
    records."""
    return aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=stream.arn,
        function_name=function_alias_arn,
        # From the oldest event on the stream: a stack that changes `delivery` loses none, and an event that is
        # recommended for twice has one event_id.
        starting_position="TRIM_HORIZON",
        batch_size=BATCH_SIZE,
        function_response_types=["ReportBatchItemFailures"],
        bisect_batch_on_function_error=True,
        maximum_retry_attempts=RETRIES,
        maximum_record_age_in_seconds=RECORD_AGE_SECONDS,
        # Only a bucket gets the records themselves; a queue would get their sequence numbers.
        destination_config={"on_failure": {"destination_arn": bucket_arn}},
        tags=tags,
        opts=opts,
    )
