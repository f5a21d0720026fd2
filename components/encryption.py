"""One customer-managed key for everything that a stack stores."""

from typing import NotRequired

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs


class KeyArgs(CommonArgs):
    """A key's few settings."""

    deletion_window_days: NotRequired[pulumi.Input[int]]
    """Days between a destroy and the end of the key, and of all that it encrypts: 7 to 30. Default: 30."""


class Key(pulumi.ComponentResource):
    """A KMS key that turns over every year. Roles use it by what their own policies say."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:Key", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        policy = pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        # Without it nobody could ever change the key again (KMS: default key policy).
                        "Sid": "ThisAccount",
                        "Effect": "Allow",
                        "Principal": {"AWS": pulumi.Output.concat("arn:aws:iam::", account, ":root")},
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                    {
                        "Sid": "AlarmsToTheTopic",
                        "Effect": "Allow",
                        "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                        "Resource": "*",
                        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                    },
                ],
            }
        )
        key = aws.kms.Key(
            f"{name}-key",
            description=f"What the stack {pulumi.get_stack()} of {pulumi.get_project()} stores",
            enable_key_rotation=True,
            deletion_window_in_days=args.get("deletion_window_days", 30),
            policy=policy,
            tags=args.get("tags"),
            opts=child,
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})
