"""Changes of existing resources: which of them AWS refuses, and which make a new version of a function."""

from typing import Any

Properties = dict[str, Any]

DELIVERY = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
SUBNETS = "aws:rds/subnetGroup:SubnetGroup"
NOT_PUBLISHED = {"tags", "publish", "reservedConcurrentExecutions"}
"""Changes of a function that make no new version."""


class Refused(Exception):
    """AWS's answer to a call that it does not carry out."""


def publishes(before: Properties, after: Properties) -> bool:
    """True if an update of a function makes a new version of it."""
    keys = (before.keys() | after.keys()) - NOT_PUBLISHED
    return bool(after.get("publish")) and any(before.get(key) != after.get(key) for key in keys)


def check_update(type_: str, before: Properties, after: Properties) -> None:
    """Raises `Refused` where AWS refuses a change.

    A backup that is enabled cannot be disabled (Firehose API reference, UpdateDestination). The subnets of a database's
    group stay in one VPC (RDS).
    """
    if type_ == DELIVERY:
        modes = [settings.get("extendedS3Configuration", {}).get("s3BackupMode") for settings in (before, after)]
        if modes[0] == "Enabled" and modes[1] != "Enabled":
            raise Refused("InvalidArgumentException: S3 backup mode cannot be updated from Enabled to Disabled")
    if type_ == SUBNETS and not set(before["subnetIds"]) & set(after["subnetIds"]):
        raise Refused("InvalidParameterValue: The new Subnets are not in the same Vpc as the existing subnet group")
