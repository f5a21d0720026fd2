"""The parts that Glue's jobs and crawlers need: roles, logs and network access."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import Component
from components.iam import Link, ScopedRole, Statement, partition
from components.network import PlacementArgs

LIST_BUCKET = ["s3:ListBucket", "s3:GetBucketLocation"]
"""The actions of a job and of a crawler on a bucket as a whole (Glue Developer Guide, "Step 1: Create an IAM policy for
the AWS Glue service")."""

MANAGED_TAG = "aws-glue-service-resource"
"""The tag by which Glue marks the network interfaces that it makes."""

JOB_LOGS = ("output", "error")
"""The groups that Glue 5 writes below a job's `--custom-logGroup-prefix` (Glue Developer Guide, "Logging for AWS Glue
jobs"). Without a prefix Glue uses groups that the whole account shares and that never expire."""


def glue_role(
    owner: Component, name: str, log_groups: Sequence[pulumi.Input[str]], statements: Sequence[Statement]
) -> ScopedRole:
    """Returns a role that Glue may assume for this account, with the statements and the permission to write logs."""
    logs: Statement = {
        # Glue writes its logs under the role, and makes a group that is missing.
        "sid": "WriteLogs",
        "actions": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        "resources": [arn for group in log_groups for arn in (group, pulumi.Output.concat(group, ":*"))],
    }
    return ScopedRole(
        name,
        {
            "common": owner.common,
            "service": "glue.amazonaws.com",
            "statements": [logs, *statements],
            "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=owner)).account_id,
        },
        owner.child,
    )


def job_logs(owner: Component, name: str) -> tuple[pulumi.Output[str], list[aws.cloudwatch.LogGroup]]:
    """Returns the log groups' prefix, which resolves when the groups exist, and the groups."""
    suffix = random.RandomId(f"{name}-logs", byte_length=4, opts=owner.child)
    prefix = pulumi.Output.concat(f"/{pulumi.get_project()}/{name}-", suffix.hex)
    groups = [
        aws.cloudwatch.LogGroup(
            f"{name}-job-{kind}",
            name=pulumi.Output.concat(prefix, "/", kind),
            retention_in_days=owner.stack["log_retention_days"],
            kms_key_id=owner.kms_key_arn,
            tags=owner.tags,
            opts=owner.child,
        )
        for kind in JOB_LOGS
    ]
    return pulumi.Output.all(prefix, *[group.id for group in groups]).apply(lambda made: str(made[0])), groups


def network_connection(owner: Component, name: str, placement: PlacementArgs, source: Link) -> aws.glue.Connection:
    """Returns the connection that places the job in the network, where it reaches the source database and S3.

    It holds no login: for one, the job would have to reach Glue's API and Secrets Manager from there.
    """
    # Driver and executors are members of one group, which must allow itself (Glue: JDBC connections in a VPC).
    group = aws.ec2.SecurityGroup(
        f"{name}-job",
        vpc_id=placement["vpc_id"],
        description="The Glue job",
        tags=owner.tags,
        opts=owner.child,
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-job-from-itself",
        security_group_id=group.id,
        referenced_security_group_id=group.id,
        ip_protocol="tcp",
        from_port=0,
        to_port=65535,
        tags=owner.tags,
        opts=owner.child,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-job-to-itself",
        security_group_id=group.id,
        referenced_security_group_id=group.id,
        ip_protocol="tcp",
        from_port=0,
        to_port=65535,
        tags=owner.tags,
        opts=owner.child,
    )
    subnet_id = pulumi.Output.from_input(placement["subnet_ids"])[0]
    zone = aws.ec2.get_subnet_output(id=subnet_id, opts=pulumi.InvokeOptions(parent=owner)).availability_zone
    return aws.glue.Connection(
        f"{name}-network",
        connection_type="NETWORK",
        physical_connection_requirements={
            "subnet_id": subnet_id,
            "availability_zone": zone,
            "security_group_id_lists": [
                group.id,
                *source["security_group_ids"],
                placement["s3_client_security_group_id"],
            ],
        },
        tags=owner.tags,
        opts=owner.child,
    )


def network_statements(owner: Component) -> list[Statement]:
    """Returns permissions for network interfaces: Glue makes the connection's under the job's own role.

    (Glue Developer Guide, "Step 1: Create an IAM policy for the AWS Glue service".)
    """
    region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=owner)).region
    account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=owner)).account_id
    interfaces = pulumi.Output.format("arn:{0}:ec2:{1}:{2}:network-interface/*", partition(owner), region, account)
    return [
        {
            "sid": "AttachToVpc",
            "actions": [
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeVpcEndpoints",
            ],
            # EC2 has no resource level for Describe…, and the interfaces' ids are not known beforehand.
            "resources": ["*"],
        },
        {
            "sid": "TagInterfaces",
            "actions": ["ec2:CreateTags", "ec2:DeleteTags"],
            "resources": [interfaces],
            "conditions": {"ForAllValues:StringEquals": {"aws:TagKeys": [MANAGED_TAG]}},
        },
    ]


def catalog_arn(database: aws.glue.CatalogDatabase) -> pulumi.Output[str]:
    """Returns the ARN of the catalog that a database is in."""
    return database.arn.apply(lambda arn: arn.split(":database/")[0] + ":catalog")
