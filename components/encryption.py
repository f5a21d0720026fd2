"""One customer-managed key for everything that a stack stores."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component


class KeyArgs(TypedDict):
    """A key has no settings of its own."""

    common: NotRequired[CommonArgs]


class Key(Component):
    """A KMS key with yearly rotation. Roles may use it as far as their own policies allow.

    The key outlives its stack, because data that it encrypts does: final snapshots, and objects of buckets that are
    kept. When you are sure that no such data is left, schedule its deletion by hand.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        options = self.keeping_data()
        options.retain_on_delete = True
        key = aws.kms.Key(
            f"{name}-key",
            description=f"What the stack {pulumi.get_stack()} of {pulumi.get_project()} stores",
            enable_key_rotation=True,
            policy=self._policy(),
            tags=self.tags,
            opts=options,
        )
        self.arn = key.arn
        self.register_attributes()

    def _policy(self) -> pulumi.Output[str]:
        opts = pulumi.InvokeOptions(parent=self)
        account = aws.get_caller_identity_output(opts=opts).account_id
        region = aws.get_region_output(opts=opts).region
        partition = aws.get_partition_output(opts=opts)
        return pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        # Without this statement nobody could change the key again (KMS: default key policy).
                        "Sid": "ThisAccount",
                        "Effect": "Allow",
                        "Principal": {
                            "AWS": pulumi.Output.format("arn:{0}:iam::{1}:root", partition.partition, account)
                        },
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                    {
                        "Sid": "AlarmsToTheTopic",
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                        "Resource": "*",
                        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                    },
                    {
                        # For the topic and the dead-letter queue. No condition on the source: EventBridge names none,
                        # and would drop the event without an error (SNS Developer Guide, "Key management").
                        "Sid": "EventsToTopicAndQueue",
                        "Effect": "Allow",
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                        "Resource": "*",
                    },
                    {
                        # CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS KMS".
                        "Sid": "LogGroups",
                        "Effect": "Allow",
                        "Principal": {"Service": pulumi.Output.concat("logs.", region, ".", partition.dns_suffix)},
                        "Action": [
                            "kms:Encrypt*",
                            "kms:Decrypt*",
                            "kms:ReEncrypt*",
                            "kms:GenerateDataKey*",
                            "kms:Describe*",
                        ],
                        "Resource": "*",
                        "Condition": {
                            "ArnLike": {
                                "kms:EncryptionContext:aws:logs:arn": pulumi.Output.format(
                                    "arn:{0}:logs:{1}:{2}:*", partition.partition, region, account
                                )
                            }
                        },
                    },
                ],
            }
        )
