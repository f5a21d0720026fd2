"""Permissions: roles that hold exactly what is listed for them, and links, by which one part may use another."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_name

MAX_ROLE_NAME = 64
"""IAM and STS quotas: length of a role's name."""


class Statement(TypedDict):
    """One permission: exact actions on exact resources."""

    sid: str
    """Says what the permission is for; letters and digits only (an IAM rule)."""
    actions: Sequence[str]
    """IAM actions such as `s3:GetObject`; never `*`."""
    resources: Sequence[pulumi.Input[str]]
    """ARNs. `*` only for actions without a resource level."""
    conditions: NotRequired[Mapping[str, Mapping[str, Any]]]
    """IAM condition block: operator → key → value."""


class Link(TypedDict):
    """Everything that a function or a job needs to use another part of the system: variables, permissions and security
    groups.

    They travel together, because each is useless without the others.
    """

    variables: Mapping[str, pulumi.Input[str]]
    """Environment variables of a function, arguments of a job."""
    statements: Sequence[Statement]
    """Permissions."""
    security_group_ids: Sequence[pulumi.Input[str]]
    """Security groups whose members may open connections to the part."""


class ScopedRoleArgs(TypedDict):
    """The service that may assume the role, and the role's permissions."""

    common: NotRequired[CommonArgs]
    service: pulumi.Input[str]
    """The service principal that may assume the role, such as `lambda.amazonaws.com`."""
    statements: Sequence[Statement]
    """All permissions of the role."""
    source_account: NotRequired[pulumi.Input[str]]
    """Limits the trust to calls on behalf of this account, for services that send `aws:SourceAccount`."""


def partition(parent: pulumi.Resource) -> pulumi.Output[str]:
    """`aws`, `aws-cn` or `aws-us-gov`: the second part of every ARN."""
    return aws.get_partition_output(opts=pulumi.InvokeOptions(parent=parent)).partition


def use_key(key_arn: pulumi.Input[str] | None, *, write: bool = False) -> list[Statement]:
    """Returns permissions to read (or write) objects that a customer-managed key encrypts; none without a key."""
    if key_arn is None:
        return []
    actions = ["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"]
    return [{"sid": "UseKey", "actions": actions, "resources": [key_arn]}]


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The IAM policy of some statements, as JSON. Raises `ValueError` on a wildcard action."""
    for statement in statements:
        if wide := [action for action in statement["actions"] if "*" in action]:
            raise ValueError(f"statement {statement['sid']}: expected exact actions, got {', '.join(wide)}")
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": statement["sid"],
                    "Effect": "Allow",
                    "Action": list(statement["actions"]),
                    "Resource": list(statement["resources"]),
                    **({"Condition": statement["conditions"]} if "conditions" in statement else {}),
                }
                for statement in statements
            ],
        }
    )


class ScopedRole(Component):
    """A role for one service with one inline policy."""

    arn: pulumi.Output[str]
    """The role's ARN. Resolves only when the policy is attached, so that a user of the role has its permissions."""
    name: pulumi.Output[str]

    def __init__(self, name: str, args: ScopedRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        check_name("ScopedRole", f"{name}-role", MAX_ROLE_NAME)
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"Service": args["service"]},
            "Action": "sts:AssumeRole",
        }
        if "source_account" in args:
            statement["Condition"] = {"StringEquals": {"aws:SourceAccount": args["source_account"]}}
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]}),
            tags=self.tags,
            opts=self.child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(args["statements"]),
            opts=self.child,
        )
        # Firehose, and Lambda in a VPC, check the role's permissions when they are created: the policy must be there
        # first.
        self.arn = pulumi.Output.all(role.arn, policy.id).apply(lambda made: made[0])
        self.name = role.name
        self.register_attributes()
