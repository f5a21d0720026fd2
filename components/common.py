"""The base of every component, and checks of values and names against AWS's limits."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypedDict

import pulumi

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The retentions, in days, that CloudWatch Logs accepts (API reference, PutRetentionPolicy)."""

MAX_TAGS = 50
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256
TAG_CHARACTERS = re.compile(r"[\w\s.:/=+\-@]*")
"""Tag restrictions that hold for every service (AWS General Reference, "Tag naming limits and requirements")."""


class CommonSettings(TypedDict, total=False):
    """Settings of the whole stack, as given under `recommender:common` in its configuration."""

    tags: Mapping[str, str]
    """Tags of every resource that takes tags, beside the stack's own two, `project` and `stack`. At most 48."""
    kms_key_arn: str
    """The ARN of an existing customer-managed KMS key for all stored data. Default: AWS's own keys."""
    force_destroy: bool
    """True lets `pulumi destroy` delete buckets, the event stream and the secrets' names with their content. False
    protects them: the engine refuses to delete or replace them before it changes anything."""
    log_retention_days: int
    """Days that logs are kept, one of CloudWatch Logs' choices: 1, 3, 5, 7, 14, 30, 60, 90, … 3653."""
    bundle_dependencies: bool
    """True puts the functions' installed packages into their zips. The local run sets false: its Lambda processes have
    the packages already."""


COMMON_DEFAULTS: CommonSettings = {
    "tags": {},
    "force_destroy": False,
    "log_retention_days": 14,
    "bundle_dependencies": True,
}


class CommonArgs(TypedDict, total=False):
    """The part of its args that a component passes on to its children."""

    settings: CommonSettings
    """Tags, protection and retention."""
    kms_key_arn: pulumi.Input[str]
    """The ARN of a key that the program makes. Default: the key of the settings."""


class Component(pulumi.ComponentResource):
    """A component of this library, with its settings from `CommonArgs` and the options of its children."""

    def __init__(self, name: str, common: CommonArgs, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"recommender:index:{type(self).__name__}", name, {}, opts)
        self.common = common
        """For child components."""
        self.stack = COMMON_DEFAULTS | common.get("settings", {})
        """The settings of the whole stack, all of which have a value but `kms_key_arn`."""
        check_choice("common", "log_retention_days", self.stack["log_retention_days"], LOG_RETENTION_DAYS)
        self.tags = stack_tags(self.stack["tags"])
        self.kms_key_arn = common.get("kms_key_arn", self.stack.get("kms_key_arn"))
        """`None` where AWS's own keys encrypt."""
        self.child = pulumi.ResourceOptions(parent=self)

    def register_attributes(self) -> None:
        """Registers the outputs: the annotated attributes of the class, under their names in camelCase."""
        names = type(self).__annotations__
        self.register_outputs({re.sub("_(.)", lambda m: m[1].upper(), name): getattr(self, name) for name in names})

    def keeping_data(self) -> pulumi.ResourceOptions:
        """Returns the options of a child that holds data: it is protected unless `force_destroy` is set."""
        return pulumi.ResourceOptions(parent=self, protect=not self.stack["force_destroy"])


PULUMI_SUFFIX = len("-1234567")
"""The characters that Pulumi's auto-naming adds to a logical name: `-` and seven of a random suffix."""


def check_name(component: str, name: str, longest: int) -> None:
    """Raises `ValueError` if the physical name that Pulumi makes of the logical name is longer than AWS allows."""
    if len(name) + PULUMI_SUFFIX > longest:
        raise ValueError(
            f"{component}: name: expected at most {longest - PULUMI_SUFFIX} characters, got {len(name)}: {name!r}"
        )


def check_range(component: str, setting: str, value: float, limits: tuple[float, float]) -> None:
    """Raises `ValueError` if a value is outside of AWS's limits; both ends are allowed."""
    lowest, highest = limits
    if not lowest <= value <= highest:
        raise ValueError(f"{component}: {setting}: expected {lowest:g} to {highest:g}, got {value:g}")


INSTANCE_CLASS = r"db\.[a-z0-9-]+\.[a-z0-9]+"
"""An RDS instance class: `db.<type>.<size>`."""


def check_text(component: str, setting: str, value: object, pattern: str, expected: str) -> None:
    """Raises `ValueError` if a text does not match. An `Output` is not checked: its value is known only at
    deployment."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        raise ValueError(f"{component}: {setting}: expected {expected}, got {value!r}")


def check_choice(component: str, setting: str, value: object, choices: Collection[object]) -> None:
    """Raises `ValueError` if a value is none of the choices. An `Output` is not checked."""
    if not isinstance(value, pulumi.Output) and value not in choices:
        raise ValueError(f"{component}: {setting}: expected one of {', '.join(map(str, choices))}, got {value!r}")


def stack_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the stack's own tags and those of its settings. Raises `ValueError` with all that AWS would refuse."""
    merged = {"project": pulumi.get_project(), "stack": pulumi.get_stack(), **tags}
    mistakes = [] if len(merged) <= MAX_TAGS else [f"expected at most {MAX_TAGS} with project and stack"]
    # To IAM, keys that differ in case alone are one key, which it refuses (IAM User Guide, "Tagging IAM resources").
    doubles = [key for key, number in Counter(key.lower() for key in merged).items() if number > 1]
    mistakes += [f"{key}: expected keys that differ in more than case" for key in doubles]
    for key, value in merged.items():
        if not 0 < len(key) <= MAX_TAG_KEY or not TAG_CHARACTERS.fullmatch(key) or key.lower().startswith("aws:"):
            mistakes.append(
                f"{key}: expected 1 to {MAX_TAG_KEY} letters, digits, spaces or _.:/=+-@, and no aws: first"
            )
        if len(value) > MAX_TAG_VALUE or not TAG_CHARACTERS.fullmatch(value):
            mistakes.append(f"{key}: expected a value of at most {MAX_TAG_VALUE} of these characters, got {value!r}")
    if mistakes:
        raise ValueError(f"common: tags: {'; '.join(mistakes)}")
    return merged
