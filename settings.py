"""The stack's configuration, typed and checked: the `recommender:` keys of Pulumi.<stack>.yaml."""

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from components import (
    BatchPipelineSettings,
    CommonArgs,
    MonitoringSettings,
    NetworkSettings,
    SourceDatabaseSettings,
    StreamingRecommenderSettings,
    VectorStoreSettings,
)
from contracts import dataset

PROJECT = "recommender"
"""The namespace of the program's keys: the name in Pulumi.yaml."""


class SettingsError(ValueError):
    """Wrong configuration; the text has a line for every wrong key."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field a key. A key that holds an object is typed by what its component takes, and documented there."""

    dataset_file: str = "dataset.toml"
    """Which tables and columns are users, items and ratings: a path in the project."""
    customer_managed_key: bool = False
    """Whether the stack's data is encrypted with a KMS key of its own, about $1 a month, instead of AWS's."""
    common: CommonArgs = field(default_factory=CommonArgs)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    source: SourceDatabaseSettings = field(default_factory=SourceDatabaseSettings)
    batch: BatchPipelineSettings = field(default_factory=BatchPipelineSettings)
    vectors: VectorStoreSettings = field(default_factory=VectorStoreSettings)
    stream: StreamingRecommenderSettings = field(default_factory=StreamingRecommenderSettings)
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)

    def load_dataset(self) -> dataset.Dataset:
        """The specification that `dataset_file` names. Raises `contracts.dataset.DatasetError`."""
        return dataset.load(Path(__file__).parent / self.dataset_file)


def load(config: pulumi.Config | None = None) -> Settings:
    """Reads the current stack's configuration. Raises `SettingsError` naming every key that is wrong."""
    config = config or pulumi.Config(PROJECT)
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(Settings)
    mistakes = _unknown_keys(hints)
    for key in fields(Settings):
        text = config.get(key.name)
        if text is None:
            continue
        where = f"{PROJECT}:{key.name}"
        if typing.is_typeddict(hints[key.name]):
            values[key.name] = _read_object(config, key.name, where, hints[key.name], mistakes)
        elif hints[key.name] is bool:
            values[key.name] = _check(where, {"true": True, "false": False}.get(text, text), bool, mistakes)
        else:
            values[key.name] = text
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Settings(**values)


def _unknown_keys(known: typing.Collection[str]) -> list[str]:
    """A line for each key of the configuration that nothing reads: misspelt, it would leave a default in force."""
    mistakes = []
    for full in sorted({**get_config_env(), **CONFIG.get()}):
        namespace, _, key = full.partition(":")
        if namespace == PROJECT and key not in known:
            mistakes.append(f"{full}: no such key{_nearest(key, known)}")
        elif namespace != PROJECT and difflib.get_close_matches(namespace, [PROJECT], cutoff=0.8):
            mistakes.append(f"{full}: nothing reads the namespace {namespace!r}{_nearest(namespace, [PROJECT])}")
    return mistakes


def _nearest(name: str, known: typing.Collection[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {found[0]}?" if found else f": expected one of {', '.join(known)}"


def _read_object(config: pulumi.Config, key: str, where: str, shape: Any, mistakes: list[str]) -> dict[str, Any]:
    try:
        given = config.get_object(key)
    except pulumi.ConfigTypeError:
        given = config.get(key)
    if not isinstance(given, dict):
        mistakes.append(f"{where}: expected an object of {', '.join(shape.__annotations__)}, got {given!r}")
        return {}
    hints = typing.get_type_hints(shape, localns=_FORWARD_REFERENCES)
    values = {}
    for name, value in given.items():
        if name not in hints:
            mistakes.append(f"{where}.{name}: no such key{_nearest(name, hints)}")
            continue
        values[name] = _check(f"{where}.{name}", value, _plain_type(hints[name]), mistakes)
        if name in _SECRETS:
            values[name] = pulumi.Output.secret(value)
    return values


_FORWARD_REFERENCES = {"Output": pulumi.Output, "T": Any}
"""`pulumi.Input[T]` holds `"Output[T]"` as a text."""

_SECRETS = {"password"}
"""Set with `pulumi config set --path --secret`; read back as text, they must not lose their mark."""

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list of texts"}


def _plain_type(hint: Any) -> type:
    """The type that a configured value has, of `Input[T]`, `T | None`, `Sequence[Input[str]]` and the like."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        # Of `Input[T]`, which is `T | Awaitable[T] | Output[T]`, the first is the plain one.
        return _plain_type(typing.get_args(hint)[0])
    if origin is not None:
        return dict if issubclass(origin, Mapping) else list
    return typing.cast("type", hint)


def _check(where: str, value: Any, kind: type, mistakes: list[str]) -> Any:
    right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if kind is float:
        right = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is list:
        right = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    expected = _NAMES.get(kind, "an object")
    if issubclass(kind, StrEnum):
        right, expected = value in list(kind), f"one of {', '.join(kind)}"
    if not right:
        mistakes.append(f"{where}: expected {expected}, got {value!r}")
    return kind(value) if right and issubclass(kind, StrEnum) else value
