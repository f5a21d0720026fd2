"""The stack's configuration, the `recommender:` keys of Pulumi.<stack>.yaml, checked against the components' types."""

import difflib
import typing
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic_core import ErrorDetails

from components import (
    BatchPipelineSettings,
    CatalogRefreshSettings,
    CommonSettings,
    MonitoringSettings,
    NetworkSettings,
    RecommendationApiSettings,
    SourceDatabaseSettings,
    StreamingRecommenderSettings,
    VectorStoreSettings,
)
from contracts import dataset_file
from contracts.dataset import Dataset

PROJECT = "recommender"
"""The namespace of the program's keys: the name in Pulumi.yaml."""


class SettingsError(ValueError):
    """Wrong configuration; the text has a line for every wrong key."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field a key. A key that holds an object is typed by what its component takes, and documented there."""

    dataset_file: str = "dataset.toml"
    """The path, in the project, of the file that names the tables and columns of users, items and ratings."""
    customer_managed_key: bool = False
    """True encrypts the stack's data with a KMS key of its own, about $1 a month, instead of AWS's."""
    common: CommonSettings = field(default_factory=CommonSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    source: SourceDatabaseSettings = field(default_factory=SourceDatabaseSettings)
    db_password: pulumi.Output[str] | None = None
    """The password of the source database's user, which stands under `source`, as a secret."""
    batch: BatchPipelineSettings = field(default_factory=BatchPipelineSettings)
    vectors: VectorStoreSettings = field(default_factory=VectorStoreSettings)
    catalogue: CatalogRefreshSettings = field(default_factory=CatalogRefreshSettings)
    stream: StreamingRecommenderSettings = field(default_factory=StreamingRecommenderSettings)
    api: RecommendationApiSettings = field(default_factory=RecommendationApiSettings)
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)

    def load_dataset(self) -> Dataset:
        """The specification that `dataset_file` names. Raises `DatasetError`."""
        return dataset_file.load(Path(__file__).parent / self.dataset_file)


class SourceSection(SourceDatabaseSettings, total=False):
    """The key `source`: its component's settings, and a secret."""

    password: str
    """Password of the existing database's user: `pulumi config set --path --secret recommender:source.password`."""


KEYS: dict[str, Any] = {**typing.get_type_hints(Settings), "source": SourceSection}
"""Key of the configuration → the type of its value."""
del KEYS["db_password"]


def load(config: pulumi.Config | None = None) -> Settings:
    """Reads the current stack's configuration. Raises `SettingsError` naming every key that is wrong."""
    config = config or pulumi.Config(PROJECT)
    values: dict[str, Any] = {}
    mistakes = _unknown_keys()
    for key, shape in KEYS.items():
        text = config.get(key)
        if text is None:
            continue
        try:
            values[key] = text if shape is str else _read(shape, text)
        except ValidationError as error:
            mistakes += [_describe(key, shape, mistake, text) for mistake in error.errors(include_url=False)]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    if "password" in values.get("source", {}):
        values["db_password"] = pulumi.Output.secret(values["source"].pop("password"))
    return Settings(**values)


def _read(shape: Any, text: str) -> Any:
    """Returns what a JSON text holds. Raises `ValidationError` where it is not of the shape: strictly, so that no
    `"50"` counts as a number, and without unknown fields.

    pydantic takes `typing.TypedDict` from Python 3.12 on (pydantic's documentation, "TypedDict"), and Pulumi's analyzer
    takes no other. So the fields of the typed dict become those of a model.
    """
    strict = ConfigDict(strict=True, extra="forbid")
    if not typing.is_typeddict(shape):
        return TypeAdapter(shape, config=strict).validate_json(text)
    fields: dict[str, Any] = {name: (hint, None) for name, hint in typing.get_type_hints(shape).items()}
    model = create_model(shape.__name__, __config__=strict, **fields)
    return model.model_validate_json(text).model_dump(exclude_unset=True)


def _unknown_keys() -> list[str]:
    """A line for each key of the configuration that nothing reads: misspelt, it would leave a default in force."""
    mistakes = []
    for full in sorted({**get_config_env(), **CONFIG.get()}):
        namespace, _, key = full.partition(":")
        if namespace == PROJECT and key not in KEYS:
            mistakes.append(f"{full}: no such key{_nearest(key, KEYS)}")
        elif namespace != PROJECT and difflib.get_close_matches(namespace, [PROJECT], cutoff=0.8):
            mistakes.append(f"{full}: nothing reads the namespace {namespace!r}{_nearest(namespace, [PROJECT])}")
    return mistakes


def _nearest(name: str, known: Collection[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {found[0]}?" if found else f": expected one of {', '.join(known)}"


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list of texts",
}
"""pydantic's error types in the words of somebody who writes YAML."""


def _describe(key: str, shape: Any, mistake: ErrorDetails, text: str) -> str:
    """Returns a line that names the key, what was expected there, and what was found."""
    where = ".".join([f"{PROJECT}:{key}", *map(str, mistake["loc"])])
    fields = getattr(shape, "__annotations__", {})
    kind, expected, found = mistake["type"], mistake["msg"].removeprefix("Input should be "), mistake["input"]
    if kind == "extra_forbidden":
        return f"{where}: no such key{_nearest(str(mistake['loc'][0]), fields)}"
    if kind in ("json_invalid", "model_type"):
        expected, found = f"an object of {', '.join(fields)}" if fields else _EXPECTED["bool_type"], text
    elif kind == "enum":
        expected = "one of " + mistake["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
    # A section that is no object may be a password that was set without `.password`.
    hidden = "password" in mistake["loc"] or (not mistake["loc"] and "password" in fields)
    return f"{where}: expected {_EXPECTED.get(kind, expected)}, got {'what is not shown' if hidden else repr(found)}"
