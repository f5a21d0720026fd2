"""Refuses updates of a live stack that AWS does not allow, or that cannot be undone, before anything is changed.

Without these checks the provider would try such an update in the middle of an `up`. The *replacement* of a resource
that holds data is refused by the engine itself (`protect`, docs/adr/0015).
"""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

Inputs = Mapping[str, Any]
"""A resource's inputs as the engine has them: names such as `allocatedStorage`. Not all are known in a preview."""

Check = Callable[[Inputs, Inputs], str | None]
"""Takes the live resource's inputs and the new ones; returns the reason to refuse the change, or None."""


class RefusedChangeError(ValueError):
    """A change that is not made; the text says which setting, what was expected, what came, and what to do."""


def refusing(name: str, *checks: Check) -> pulumi.ResourceOptions:
    """Returns options for the resource `name`: an update of it fails if one of the checks finds a reason to refuse it.

    Hooks run in a preview too (Pulumi's documentation, "Resource hooks"), so an `up` ends before anything is changed.
    """

    def before_update(args: pulumi.ResourceHookArgs) -> None:
        old, new = args.old_inputs or {}, args.new_inputs or {}
        if wrong := [problem for check in checks if (problem := check(old, new))]:
            raise RefusedChangeError("; ".join(wrong))

    hook = pulumi.ResourceHook(f"{name}-live-changes", before_update, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))


def storage_grows(old: Inputs, new: Inputs) -> str | None:
    """RDS User Guide, "Increasing DB instance storage capacity": storage cannot be made smaller."""
    before, after = _numbers(old, new, "allocatedStorage")
    if before <= after:
        return None
    return f"storage_gb: expected at least {before:g}, as the live database has, got {after:g}: RDS only adds storage"


def backups_stay(old: Inputs, new: Inputs) -> str | None:
    """RDS User Guide, "Disabling automated backups": a retention of 0 deletes the backups that there are, at once."""
    before, after = _numbers(old, new, "backupRetentionPeriod")
    if not before or after or not new.get("deletionProtection"):
        return None
    return (
        f"backup_retention_days: expected 1 or more, got 0: RDS would delete the backups of {before:g} days; to lose "
        "them, set deletion_protection to false as well"
    )


def zones_stay(old: Inputs, new: Inputs) -> str | None:
    """RDS API reference, ModifyDBSubnetGroup: a subnet that a database lives in stays (SubnetAlreadyInUse)."""
    before, after = old.get("subnetIds"), new.get("subnetIds")
    if not isinstance(before, list) or not isinstance(after, list) or len(after) >= len(before):
        return None
    return (
        f"zones: expected at least {len(before)}, as many as the live stack has, got {len(after)}: RDS does not "
        "give up a subnet that a database lives in"
    )


def backup_stays(old: Inputs, new: Inputs) -> str | None:
    """Firehose API reference, ExtendedS3DestinationUpdate: a backup that is enabled cannot be disabled."""
    before, after = (inputs["extendedS3Configuration"].get("s3BackupMode") for inputs in (old, new))
    if before != "Enabled" or after == "Enabled":
        return None
    return (
        "backup_source: expected true, as on the live delivery stream, got false: Firehose does not stop a backup; "
        "another `delivery` makes a new stream without one"
    )


def shards_by_half_or_double(old: Inputs, new: Inputs) -> str | None:
    """Kinesis API reference, UpdateShardCount: at most double and at least half of the shards in one call."""
    before, after = _numbers(old, new, "shardCount")
    if not before or not after or before <= 2 * after <= 4 * before:
        return None
    return (
        f"shards: expected {-(-before // 2):g} to {2 * before:g}, half to double of the {before:g} that the stream "
        f"has, got {after:g}: Kinesis does no more in one step: go there in several"
    )


def _numbers(old: Inputs, new: Inputs, key: str) -> tuple[float, float]:
    """Returns the old and the new value; 0 and 0 if one of them is missing or not known yet."""
    before, after = (inputs.get(key) for inputs in (old, new))
    if isinstance(before, int | float) and isinstance(after, int | float):
        return before, after
    return 0, 0
