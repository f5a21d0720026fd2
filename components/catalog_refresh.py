"""The catalogue's refresh: a function that brings the served model versions up to the shop's items, on a schedule."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_range
from components.function import PythonFunction, WatchedFunction
from components.iam import Link, ScopedRole, use_key
from components.network import PlacementArgs
from components.private_bucket import BucketReference

MINUTES = (1, 1440)
"""The shortest period of a schedule is a minute (EventBridge Scheduler User Guide, "Schedule types"); the longest here
is a day."""
MEMORY_RANGE_MB = (512, 10_240)
TIMEOUT_SECONDS = (60, 900)
"""A run ends before the next one begins, in a minute at least; Lambda ends every call after 900 seconds."""
EVENT_AGE_SECONDS = 60
"""Lambda's and the scheduler's least: a call that cannot be made in a minute is left to the next period."""
MISSED_REFRESHES = 3
"""Periods without a complete refresh after which the alarm rings."""


class CatalogRefreshSettings(TypedDict, total=False):
    """Settings of the catalogue's refresh, as given under `recommender:catalogue` in the stack's configuration."""

    enabled: bool
    """False leaves the function without a schedule: items change with the next training, or when somebody calls it."""
    minutes: int
    """Minutes from one refresh to the next, 1 to 1,440: an item put into the shop is recommended after as many at
    most."""
    memory_mb: int
    """Memory of the function in MB, 512 to 10,240; 1,769 is one whole processor, which a million items take."""


CATALOG_REFRESH_DEFAULTS: CatalogRefreshSettings = {"enabled": True, "minutes": 5, "memory_mb": 1024}


class CatalogRefreshArgs(TypedDict):
    """The refresh's settings, its network, and what it uses."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[CatalogRefreshSettings]
    placement: PlacementArgs
    store: Link
    """The vector store."""
    source: Link
    """The source database, as a function uses it (`SourceDatabase.function_link`)."""
    code: BucketReference
    """The bucket that the function's code is uploaded to."""


class WatchedRefresh(TypedDict):
    """The schedule of a refresh, for the alarm of a catalogue that is no longer fresh."""

    enabled: bool
    """False: nothing is expected of a schedule that is switched off."""
    stale_minutes: int
    """Minutes without a complete refresh after which the alarm rings."""


class CatalogRefresh(Component):
    """MySQL's items → embeddings, stock and attributes of the served versions, every few minutes."""

    function: WatchedFunction
    """The function, for alarms."""
    watched: WatchedRefresh
    """The schedule, for the alarm."""
    function_name: pulumi.Output[str]
    """Physical name, by which an operator calls the function at once."""

    def __init__(self, name: str, args: CatalogRefreshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = CATALOG_REFRESH_DEFAULTS | args.get("settings", {})
        check_range("CatalogRefresh", "minutes", settings["minutes"], MINUTES)
        check_range("CatalogRefresh", "memory_mb", settings["memory_mb"], MEMORY_RANGE_MB)
        refresh = self._function(name, args, settings)
        self._schedule(name, settings, refresh)
        self.function = refresh.watched
        self.watched = {"enabled": settings["enabled"], "stale_minutes": MISSED_REFRESHES * settings["minutes"]}
        self.function_name = refresh.name
        self.register_attributes()

    def _function(self, name: str, args: CatalogRefreshArgs, settings: CatalogRefreshSettings) -> PythonFunction:
        shortest, longest = TIMEOUT_SECONDS
        return PythonFunction(
            f"{name}-refresh",
            {
                "common": self.common,
                "label": "catalogue",
                "source": "catalog_refresh",
                "description": "Brings the served model versions up to the shop's items, without training",
                "code_bucket": args["code"]["name"],
                "links": [args["store"], args["source"]],
                # Two never work at once all the same: the second finds the loader's lock taken, and does nothing.
                "timeout_seconds": min(longest, max(shortest, 60 * settings["minutes"])),
                "memory_mb": settings["memory_mb"],
                "subnet_ids": args["placement"]["subnet_ids"],
                "security_group_ids": [args["placement"]["s3_client_security_group_id"]],
            },
            self.child,
        )

    def _schedule(self, name: str, settings: CatalogRefreshSettings, refresh: PythonFunction) -> None:
        minutes = settings["minutes"]
        # The next refresh finds whatever one has left: nothing is tried again, and nothing kept.
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-once",
            function_name=refresh.name,
            qualifier=refresh.alias_name,
            maximum_retry_attempts=0,
            maximum_event_age_in_seconds=EVENT_AGE_SECONDS,
            opts=self.child,
        )
        role = ScopedRole(
            f"{name}-schedule",
            {
                "common": self.common,
                "service": "scheduler.amazonaws.com",
                "statements": [
                    {"sid": "CallRefresh", "actions": ["lambda:InvokeFunction"], "resources": [refresh.alias_arn]},
                    # A schedule is decrypted in its role (EventBridge Scheduler User Guide, "Encryption at rest").
                    *use_key(self.kms_key_arn),
                ],
                "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id,
            },
            self.child,
        )
        # Not a rule with a schedule, which EventBridge keeps as a legacy ("Creating a scheduled rule (legacy)").
        aws.scheduler.Schedule(
            f"{name}-schedule",
            description="The shop's items are looked at again",
            # A rate of one has its unit in the singular (EventBridge User Guide, "Rate expressions reference").
            schedule_expression=f"rate({minutes} minute{'' if minutes == 1 else 's'})",
            state="ENABLED" if settings["enabled"] else "DISABLED",
            flexible_time_window={"mode": "OFF"},
            kms_key_arn=self.kms_key_arn,
            target={
                "arn": refresh.alias_arn,
                "role_arn": role.arn,
                "retry_policy": {"maximum_retry_attempts": 0, "maximum_event_age_in_seconds": EVENT_AGE_SECONDS},
            },
            opts=self.child,
        )
