"""The stack's configuration, typed and checked: every `recommender:` key of Pulumi.<stack>.yaml."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pulumi

from contracts import dataset


class SettingsError(ValueError):
    """Wrong configuration; the text has a line for every wrong key."""


def _setting(default: Any, expected: str = "", check: Callable[[Any], bool] = lambda _: True) -> Any:
    """A key with its default, and what its value must be beyond its type."""
    return field(default=default, metadata={"expected": expected, "check": check})


def _between(default: float, lowest: float, highest: float) -> Any:
    return _setting(default, f"{lowest:g} to {highest:g}", lambda value: lowest <= value <= highest)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Configuration keys, under the names that the stack files use."""

    dataset_file: str = _setting("dataset.toml")
    """Which tables and columns are users, items and ratings: a path in the project."""

    vpc_id: str | None = _setting(None)
    """An existing VPC to live in; with `subnet_ids`. Default: a new one."""
    subnet_ids: list[str] = field(default_factory=list)
    """Private subnets of the existing VPC, in two zones or more."""
    interface_endpoints: list[str] = field(default_factory=list)
    """Services to reach privately, such as `secretsmanager`; about $7 a month each, a zone."""

    source_database: str = _setting("classicmodels")
    """The MySQL schema with the shop's tables."""
    source_host: str | None = _setting(None)
    """An existing MySQL. Default: a small one is made for trial."""
    source_port: int = _between(3306, 1, 65535)
    source_username: str = _setting("shop")
    source_password: pulumi.Output[str] | None = None
    """Of the existing MySQL: `pulumi config set --secret recommender:source_password`."""

    glue_workers: int = _between(2, 2, 100)
    vector_db_instance_class: str = _setting("db.t4g.micro")
    vector_db_storage_gb: int = _between(20, 20, 65536)
    vector_db_multi_az: bool = _setting(False)
    vector_db_backup_days: int = _between(7, 0, 35)
    deletion_protection: bool = _setting(True)
    """Whether the vector store refuses to be destroyed."""
    skip_final_snapshot: bool = _setting(False)
    force_destroy: bool = _setting(False)
    """Whether `pulumi destroy` deletes buckets that hold data."""

    recommendation_limit: int = _between(5, 1, 100)
    stream_shards: int = _between(1, 0, 500)
    """0: on demand."""
    stream_retention_hours: int = _between(24, 24, 8760)
    processor_buffer_mb: float = _between(1, 0.2, 3)
    processor_buffer_seconds: int = _between(60, 0, 900)
    delivery_buffer_mb: int = _between(5, 1, 128)
    delivery_buffer_seconds: int = _between(60, 0, 900)

    log_retention_days: int = _setting(
        14,
        "a retention that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731",
        lambda days: days in {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731},
    )
    bundle_dependencies: bool = _setting(True)
    """Whether the functions' packages are put into their zips; the local run has them already."""

    def load_dataset(self) -> dataset.Dataset:
        """The specification that `dataset_file` names. Raises `contracts.dataset.DatasetError`."""
        return dataset.load(Path(__file__).parent / self.dataset_file)


def load(config: pulumi.Config | None = None) -> Settings:
    """Reads the current stack's configuration. Raises `SettingsError` naming every key that is wrong."""
    config = config or pulumi.Config("recommender")
    hints = get_type_hints(Settings)
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key in fields(Settings):
        kind = _kind(hints[key.name])
        if kind is pulumi.Output:
            if (secret := config.get_secret(key.name)) is not None:
                values[key.name] = secret
            continue
        text = config.get(key.name)
        if text is None:
            continue
        try:
            value = _parse(text, kind)
        except ValueError:
            mistakes.append(f"recommender:{key.name}: expected {_describe(kind)}, got {text!r}")
            continue
        if not key.metadata.get("check", lambda _: True)(value):
            mistakes.append(f"recommender:{key.name}: expected {key.metadata['expected']}, got {text!r}")
        values[key.name] = value
    mistakes += _combinations(values)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Settings(**values)


def _combinations(values: Mapping[str, Any]) -> list[str]:
    mistakes = []
    if ("vpc_id" in values) != bool(values.get("subnet_ids")):
        mistakes.append("recommender:vpc_id, recommender:subnet_ids: expected both of an existing VPC, got one of them")
    if "source_host" in values and "source_password" not in values:
        mistakes.append(
            "recommender:source_password: expected the existing database's password (set it with --secret), got none"
        )
    return mistakes


def _kind(hint: Any) -> Any:
    """The type behind `T | None`, and the class behind `list[T]` and `Output[T]`."""
    options = [option for option in get_args(hint) if option is not type(None)]
    if type(None) in get_args(hint):
        hint = options[0]
    return getattr(hint, "__origin__", hint)


def _parse(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if kind is bool and text not in {"true", "false"}:
        raise ValueError(text)
    value = json.loads(text)
    if kind is list and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
        raise ValueError(text)
    if kind is int and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(text)
    return float(value) if kind is float else value


def _describe(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", list: "a list of texts"}[kind]
