"""Checks the permissions that a Glue job with a connection needs: Glue makes network interfaces under the job's
role."""

from emulator.errors import LocalRunError
from emulator.ministack import MiniStack
from emulator.permissions import role_may

MANAGED_TAG = "aws-glue-service-resource"
"""The one tag that Glue puts on an interface."""

_UNNAMED = ("CreateNetworkInterface", "DeleteNetworkInterface")
_DESCRIBE = ("NetworkInterfaces", "RouteTables", "SecurityGroups", "Subnets", "VpcAttribute", "VpcEndpoints")
_TAGS = ("CreateTags", "DeleteTags")
"""Actions of the Glue Developer Guide, "Step 1: Create an IAM policy for the AWS Glue service"."""


def attach_to_vpc(ministack: MiniStack, job: str, role_arn: str) -> None:
    """Raises `LocalRunError` naming the actions that the role lacks for a job with a connection."""
    interface = f"arn:aws:ec2:{ministack.region}:{ministack.account_id}:network-interface/eni-0"
    asked = [(f"ec2:{action}", interface) for action in _UNNAMED]
    asked += [(f"ec2:Describe{what}", "*") for what in _DESCRIBE]
    lacking = [action for action, resource in asked if not role_may(ministack, role_arn, action, resource)]
    lacking += [
        f"ec2:{action}"
        for action in _TAGS
        if not role_may(ministack, role_arn, f"ec2:{action}", interface, tag_keys=[MANAGED_TAG])
    ]
    if lacking:
        raise LocalRunError(
            f"Glue job {job}: AccessDenied: its role {role_arn} may not {', '.join(lacking)}: Glue makes the "
            "connection's network interfaces under the job's role"
        )
