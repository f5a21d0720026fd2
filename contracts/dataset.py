"""The dataset specification: which tables and columns of a shop are users, items and ratings (`dataset.toml`)."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class DatasetError(ValueError):
    """A dataset specification that cannot be used; its text lists every mistake, a line each."""


class Kind(StrEnum):
    """What a column is to the model."""

    CATEGORICAL = "categorical"
    NUMERIC = "numeric"
    INTEGER = "integer"
    TAGS = "tags"
    PASSTHROUGH = "passthrough"

    @property
    def is_number(self) -> bool:
        return self in (Kind.NUMERIC, Kind.INTEGER)


class KeyType(StrEnum):
    INTEGER = "integer"
    TEXT = "text"


@dataclass(frozen=True)
class Column:
    """A column beside the key. `separator` joins the values of a `tags` column and is empty for every other kind."""

    name: str
    kind: Kind
    separator: str = ""


@dataclass(frozen=True)
class Entity:
    """Users or items: a table, its key and its columns in the order of the file."""

    table: str
    key: str
    key_type: KeyType
    columns: tuple[Column, ...]
    in_stock: str | None = None
    """Items only: the column that is above zero while an item is in stock; `None`: always in stock."""
    name: str | None = None
    """Items only: a column of the table that tells people what the item is; no part of the training data."""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that the model reads."""
        return tuple(column for column in self.columns if column.kind is not Kind.PASSTHROUGH)


@dataclass(frozen=True)
class Ratings:
    """The ratings table. `scale` is (lowest, highest); a rating of `liked` or more counts as liked."""

    table: str
    user: str
    item: str
    rating: str
    scale: tuple[int, int]
    liked: int
    time: str | None = None


@dataclass(frozen=True)
class Quality:
    """When the ETL refuses to replace the training data; shares from 0 to 1."""

    max_rejected: float = 0.05
    """The largest share of a table's rows that may be rejected."""
    min_rows: float = 0.5
    """The least number of rows, as a share of the last run's."""


@dataclass(frozen=True)
class Dataset:
    """A whole specification. Make one with `load`, `parse` or `from_dict`."""

    users: Entity
    items: Entity
    ratings: Ratings
    event_features: Mapping[str, str]
    """Event key → user column."""
    name: str
    """The training data's folder in the data lake."""
    buckets: int = 0
    """0: a folder for each user; N: a folder for each of N buckets of users."""
    quality: Quality = Quality()

    @property
    def partition(self) -> str:
        """The name of the partition folders' key."""
        return "bucket" if self.buckets else self.users.key

    def to_dict(self) -> dict[str, Any]:
        """The specification in the shape of the file, as a manifest carries it; `from_dict` reads it back."""
        ratings = {
            "table": self.ratings.table,
            "user": self.ratings.user,
            "item": self.ratings.item,
            "rating": self.ratings.rating,
            "scale": list(self.ratings.scale),
            "liked": self.ratings.liked,
        }
        if self.ratings.time:
            ratings["time"] = self.ratings.time
        output: dict[str, Any] = {"name": self.name}
        if self.buckets:
            output["buckets"] = self.buckets
        return {
            "users": _entity_to_dict(self.users),
            "items": _entity_to_dict(self.items),
            "ratings": ratings,
            "event": {"features": dict(self.event_features)},
            "output": output,
            "quality": {"max_rejected": self.quality.max_rejected, "min_rows": self.quality.min_rows},
        }


def load(path: Path) -> Dataset:
    """Reads `dataset.toml`. Raises `DatasetError` naming the file and every mistake in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "dataset.toml") -> Dataset:
    """Reads the text of a `dataset.toml`. Raises `DatasetError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{source}: not TOML: {error}") from error
    return from_dict(document, source)


def from_dict(document: Mapping[str, Any], source: str = "dataset") -> Dataset:
    """Builds a specification of the shape that `to_dict` gives. Raises `DatasetError`."""
    reader = _Reader(source)
    dataset = reader.dataset(document)
    if reader.mistakes or dataset is None:
        raise DatasetError("\n".join(reader.mistakes))
    return dataset


def _entity_to_dict(entity: Entity) -> dict[str, Any]:
    document: dict[str, Any] = {"table": entity.table, "key": entity.key, "key_type": entity.key_type.value}
    if entity.in_stock:
        document["in_stock"] = entity.in_stock
    if entity.name:
        document["name"] = entity.name
    document["columns"] = {
        column.name: f"{column.kind.value}:{column.separator}" if column.separator else column.kind.value
        for column in entity.columns
    }
    return document


class _Reader:
    """Reads a document and collects every mistake instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.mistakes: list[str] = []

    def mistake(self, where: str, expected: str, found: object) -> None:
        self.mistakes.append(f"{self.source}: {where}: expected {expected}, found {found!r}")

    def dataset(self, document: Mapping[str, Any]) -> Dataset | None:
        self.unknown_keys("", document, {"users", "items", "ratings", "event", "output", "quality"})
        users = self.entity("users", self.table(document, "users"))
        items = self.entity("items", self.table(document, "items"))
        ratings = self.ratings(self.table(document, "ratings"))
        event = self.table(document, "event", optional=True)
        self.unknown_keys("event", event, {"features"})
        output = self.table(document, "output", optional=True)
        self.unknown_keys("output", output, {"name", "buckets"})
        name = self.text("output", output, "name", default="ratings-ml-training")
        buckets = self.integer("output.buckets", output.get("buckets", 0), 0, 65_536)
        features = self.event_features(self.table(event, "features", "event.", optional=True), users)
        quality = self.quality(self.table(document, "quality", optional=True))
        self.name_clashes(users, items, ratings)
        if self.mistakes:
            return None
        return Dataset(users, items, ratings, features, name, buckets, quality)

    def entity(self, where: str, table: Mapping[str, Any]) -> Entity:
        self.unknown_keys(where, table, {"table", "key", "key_type", "columns", "in_stock", "name"})
        columns = tuple(self.columns(where, self.table(table, "columns", f"{where}.", optional=True)))
        key_type = table.get("key_type", "text")
        if key_type not in list(KeyType):
            self.mistake(f"{where}.key_type", "'integer' or 'text'", key_type)
            key_type = KeyType.TEXT
        in_stock = table.get("in_stock")
        if in_stock is not None:
            if where != "items":
                self.mistake(f"{where}.in_stock", "no such key: only items have a stock", in_stock)
            elif not any(column.name == in_stock and column.kind.is_number for column in columns):
                self.mistake(f"{where}.in_stock", "a numeric or integer column of [items.columns]", in_stock)
        name = table.get("name")
        if name is not None and (where != "items" or not isinstance(name, str)):
            self.mistake(f"{where}.name", "a column's name, for items only", name)
        return Entity(
            self.text(where, table, "table"), self.text(where, table, "key"), KeyType(key_type), columns, in_stock, name
        )

    def columns(self, where: str, table: Mapping[str, Any]) -> Iterator[Column]:
        for name, value in table.items():
            kind, _, separator = value.partition(":") if isinstance(value, str) else ("", "", "")
            if kind not in list(Kind) or (kind == Kind.TAGS) != bool(separator):
                expected = "categorical, numeric, integer, passthrough or 'tags:<separator>'"
                self.mistake(f"{where}.columns.{name}", expected, value)
            else:
                yield Column(name, Kind(kind), separator)

    def ratings(self, table: Mapping[str, Any]) -> Ratings:
        self.unknown_keys("ratings", table, {"table", "user", "item", "rating", "scale", "liked", "time"})
        scale = table.get("scale", [1, 5])
        if not (
            isinstance(scale, list)
            and len(scale) == 2
            and all(isinstance(end, int) and not isinstance(end, bool) for end in scale)
            and scale[0] < scale[1]
        ):
            self.mistake("ratings.scale", "[lowest, highest], two rising whole numbers", scale)
            scale = [1, 5]
        liked = self.integer("ratings.liked", table.get("liked", scale[1]), scale[0], scale[1])
        time = table.get("time")
        if time is not None and not (isinstance(time, str) and time):
            self.mistake("ratings.time", "a column's name", time)
        return Ratings(
            table=self.text("ratings", table, "table"),
            user=self.text("ratings", table, "user"),
            item=self.text("ratings", table, "item"),
            rating=self.text("ratings", table, "rating"),
            scale=(scale[0], scale[1]),
            liked=liked,
            time=time,
        )

    def quality(self, table: Mapping[str, Any]) -> Quality:
        self.unknown_keys("quality", table, {"max_rejected", "min_rows"})
        return Quality(**{key: self.share(f"quality.{key}", table[key]) for key in asdict(Quality()) if key in table})

    def event_features(self, table: Mapping[str, Any], users: Entity) -> dict[str, str]:
        known = {column.name for column in users.features}
        for field, column in table.items():
            if column not in known:
                self.mistake(f"event.features.{field}", f"a feature of [users.columns] ({', '.join(known)})", column)
        return dict(table)

    def name_clashes(self, users: Entity, items: Entity, ratings: Ratings) -> None:
        """The training data is one flat table: no two of its columns share a name."""
        seen: dict[str, str] = {"bucket": "the name of the partition"}
        rated = [(ratings.rating, "ratings.rating"), *([(ratings.time, "ratings.time")] if ratings.time else [])]
        for where, entity in (("users", users), ("items", items)):
            rated += [(entity.key, f"{where}.key"), *((c.name, f"{where}.columns") for c in entity.columns)]
        for name, where in rated:
            if name and name.lower() in seen:
                self.mistake(where, f"a name that is not taken by {seen[name.lower()]} (case aside)", name)
            seen.setdefault(name.lower(), where)

    def table(
        self, document: Mapping[str, Any], key: str, prefix: str = "", optional: bool = False
    ) -> Mapping[str, Any]:
        value = document.get(key, {} if optional else None)
        if isinstance(value, Mapping):
            return value
        self.mistake(f"[{prefix}{key}]", "a table", value)
        return {}

    def text(self, where: str, table: Mapping[str, Any], key: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if isinstance(value, str) and value:
            return value
        self.mistake(f"{where}.{key}", "a name", value)
        return ""

    def integer(self, where: str, value: object, lowest: int, highest: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.mistake(where, f"a whole number from {lowest} to {highest}", value)
        return lowest

    def share(self, where: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.mistake(where, "a share from 0 to 1", value)
        return 0.0

    def unknown_keys(self, where: str, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self.mistake(f"{where}.{key}".lstrip("."), f"one of {', '.join(sorted(known))}", key)
