"""The loader: a function that a model version's manifest starts, and a queue of the events that it could not load."""

import pulumi
import pulumi_aws as aws

from components.common import Component
from components.function import PythonFunction
from components.iam import Link, Statement
from components.network import PlacementArgs
from components.private_bucket import PrivateBucket

DEAD_LETTER_DAYS = 14
"""SQS's longest retention."""


def load_on_manifest(
    owner: Component,
    name: str,
    bucket: PrivateBucket,
    store: Link,
    placement: PlacementArgs,
    code_bucket: pulumi.Input[str],
) -> tuple[PythonFunction, aws.sqs.Queue]:
    """Returns the loader, which a manifest in the bucket starts, and the queue of events that it could not load."""
    rule = _manifest_rule(owner, name, bucket)
    dead_letters = _dead_letters(owner, name, rule)
    loader = _loader(owner, name, store, placement, code_bucket, dead_letters)
    _start_on_manifest(owner, name, rule, loader, dead_letters)
    return loader, dead_letters


def _loader(
    owner: Component,
    name: str,
    store: Link,
    placement: PlacementArgs,
    code_bucket: pulumi.Input[str],
    dead_letters: aws.sqs.Queue,
) -> PythonFunction:
    return PythonFunction(
        f"{name}-loader",
        {
            "common": owner.common,
            "label": "loader",
            "source": "embedding_loader",
            "description": "Loads a model version's embeddings into PostgreSQL and switches over to it",
            "code_bucket": code_bucket,
            "links": [store],
            "statements": [
                {"sid": "ReportFailure", "actions": ["sqs:SendMessage"], "resources": [dead_letters.arn]},
                *_encrypt_messages(owner),
            ],
            # The longest that Lambda allows: index builds of a million vectors on a small instance take minutes.
            "timeout_seconds": 900,
            "memory_mb": 512,
            "subnet_ids": placement["subnet_ids"],
            "security_group_ids": [placement["s3_client_security_group_id"]],
        },
        owner.child,
    )


def _manifest_rule(owner: Component, name: str, bucket: PrivateBucket) -> aws.cloudwatch.EventRule:
    return aws.cloudwatch.EventRule(
        f"{name}-manifest",
        description="A model version's manifest, the last of its files, has arrived",
        event_pattern=pulumi.Output.json_dumps(
            {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": [bucket.name]}, "object": {"key": [{"suffix": "/manifest.json"}]}},
            }
        ),
        tags=owner.tags,
        opts=owner.child,
    )


def _dead_letters(owner: Component, name: str, rule: aws.cloudwatch.EventRule) -> aws.sqs.Queue:
    key = owner.kms_key_arn
    queue = aws.sqs.Queue(
        f"{name}-load-dead-letters",
        message_retention_seconds=DEAD_LETTER_DAYS * 24 * 3600,
        sqs_managed_sse_enabled=None if key else True,
        kms_master_key_id=key,
        tags=owner.tags,
        opts=owner.child,
    )
    aws.sqs.QueuePolicy(
        f"{name}-load-dead-letters",
        queue_url=queue.url,
        policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "UndeliveredEvents",
                        "Effect": "Allow",
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Action": "sqs:SendMessage",
                        "Resource": queue.arn,
                        "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
                    }
                ],
            }
        ),
        opts=owner.child,
    )
    return queue


def _start_on_manifest(
    owner: Component, name: str, rule: aws.cloudwatch.EventRule, loader: PythonFunction, dead_letters: aws.sqs.Queue
) -> None:
    # An event that the function fails at goes to this destination; one that EventBridge cannot hand over, to the
    # target's.
    aws.lambda_.FunctionEventInvokeConfig(
        f"{name}-load-failures",
        function_name=loader.name,
        qualifier=loader.alias_name,
        maximum_retry_attempts=2,
        destination_config={"on_failure": {"destination": dead_letters.arn}},
        opts=owner.child,
    )
    permission = aws.lambda_.Permission(
        f"{name}-manifest",
        action="lambda:InvokeFunction",
        function=loader.name,
        qualifier=loader.alias_name,
        principal="events.amazonaws.com",
        source_arn=rule.arn,
        opts=owner.child,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-load",
        rule=rule.name,
        arn=loader.alias_arn,
        retry_policy={"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 3600},
        dead_letter_config={"arn": dead_letters.arn},
        opts=pulumi.ResourceOptions(parent=owner, depends_on=[permission]),
    )


def _encrypt_messages(owner: Component) -> list[Statement]:
    """Returns the permission that a sender to an encrypted queue needs besides Decrypt (SQS Developer Guide, "Key
    management")."""
    key = owner.kms_key_arn
    return [{"sid": "EncryptFailure", "actions": ["kms:GenerateDataKey"], "resources": [key]}] if key else []
