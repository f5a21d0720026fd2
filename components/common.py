"""What every component takes alike."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi


class CommonArgs(TypedDict, total=False):
    """Settings that a whole stack shares; each component takes them and passes them on."""

    tags: Mapping[str, pulumi.Input[str]]
    """On everything that takes tags."""
    kms_key_arn: pulumi.Input[str] | None
    """A customer-managed key for all that is stored. Default: AWS's own keys."""
    force_destroy: bool
    """Whether `pulumi destroy` deletes buckets, the event stream, and the secrets' names, with what is in them.
    Default: false, and they are protected: the engine refuses to delete or replace them before it changes anything."""
    log_retention_days: int
    """As CloudWatch Logs has them: 1, 3, 5, 7, 14, 30, 60, 90, … Default: 14."""
    bundle_dependencies: bool
    """Whether the functions' packages go into their zips. Default: true; the local run, whose Lambda processes have
    them already, leaves them out."""


PULUMI_SUFFIX = len("-1234567")
"""What Pulumi's auto-naming adds to a logical name."""


def check_name(component: str, name: str, longest: int) -> None:
    """Raises `ValueError` where the physical name that Pulumi makes of a logical one is longer than AWS takes."""
    if len(name) + PULUMI_SUFFIX > longest:
        raise ValueError(
            f"{component}: name: expected at most {longest - PULUMI_SUFFIX} characters, got {len(name)}: {name!r}"
        )


def check_range(component: str, setting: str, value: float, limits: tuple[float, float]) -> None:
    """Raises `ValueError` where a value is outside of AWS's limits, both of which are allowed."""
    lowest, highest = limits
    if not lowest <= value <= highest:
        raise ValueError(f"{component}: {setting}: expected {lowest:g} to {highest:g}, got {value:g}")


def keeping_data(parent: pulumi.Resource, args: CommonArgs) -> pulumi.ResourceOptions:
    """Options of a child that holds what cannot be made again."""
    return pulumi.ResourceOptions(parent=parent, protect=not args.get("force_destroy", False))


def common(args: CommonArgs) -> CommonArgs:
    """The part of a component's args that its children take too."""
    return {key: args[key] for key in CommonArgs.__annotations__ if key in args}  # type: ignore[literal-required, return-value]
