"""The network of a database on RDS: its security group, the rules to reach it, and its subnets."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.common import Component
from components.live_changes import refusing, zones_stay
from components.network import PlacementArgs
from components.security_groups import connect


@dataclass(frozen=True)
class DatabasePlacement:
    """The network of one database instance."""

    subnet_group: aws.rds.SubnetGroup
    server: aws.ec2.SecurityGroup
    """The security group of the instance."""
    rules: Sequence[pulumi.Resource]
    """The security group rules by which clients reach the instance."""


def place_database(
    owner: Component,
    name: str,
    description: str,
    placement: PlacementArgs,
    client: aws.ec2.SecurityGroup,
    port: int,
) -> DatabasePlacement:
    """Makes the network of a database, which the members of the group `client` reach on one port."""
    server = aws.ec2.SecurityGroup(
        f"{name}-server", vpc_id=placement["vpc_id"], description=description, tags=owner.tags, opts=owner.child
    )
    rules = connect(owner, name, client.id, server.id, port, owner.tags)
    subnet_group = aws.rds.SubnetGroup(
        f"{name}-subnets",
        subnet_ids=placement["subnet_ids"],
        tags=owner.tags,
        # RDS refuses to take a subnet group to another VPC, so it is made anew there, and the database with it.
        opts=pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions(parent=owner, replacement_trigger=placement["vpc_id"]),
            refusing(f"{name}-subnets", zones_stay),
        ),
    )
    return DatabasePlacement(subnet_group, server, rules)
