"""Security group rules by which the members of one group reach those of another."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws


def connect(
    parent: pulumi.Resource,
    name: str,
    client: pulumi.Input[str],
    server: pulumi.Input[str],
    port: pulumi.Input[int],
    tags: Mapping[str, pulumi.Input[str]],
) -> list[pulumi.CustomResource]:
    """Lets the members of one security group open connections to another's on one port, and nothing else.

    Returns the rules, for whoever must not connect before they are there.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    egress = aws.vpc.SecurityGroupEgressRule(
        f"{name}-from-client",
        security_group_id=client,
        referenced_security_group_id=server,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=opts,
    )
    ingress = aws.vpc.SecurityGroupIngressRule(
        f"{name}-to-server",
        security_group_id=server,
        referenced_security_group_id=client,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=opts,
    )
    return [egress, ingress]
