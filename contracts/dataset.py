"""The dataset specification (`dataset.toml`): the tables and columns of a shop that are users, items and ratings."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from contracts.toml_lines import key_lines


class DatasetError(ValueError):
    """The dataset specification cannot be used; the text lists every mistake, a line each."""


class Kind(StrEnum):
    """The way in which the model reads a column."""

    CATEGORICAL = "categorical"
    """Text from a set of values, for instance a city."""
    BOOLEAN = "boolean"
    """True or false; a number other than zero is true."""
    NUMERIC = "numeric"
    """A number, which may have a fraction."""
    INTEGER = "integer"
    """A whole number."""
    DATE = "date"
    """A day; the model reads its parts (`DatePart`)."""
    TAGS = "tags"
    """Several texts in one, joined by a separator: `tags:|` in dataset.toml."""
    PASSTHROUGH = "passthrough"
    """Kept in the training data, and not read by the model."""

    @property
    def is_number(self) -> bool:
        return self in (Kind.NUMERIC, Kind.INTEGER)


class KeyType(StrEnum):
    INTEGER = "integer"
    TEXT = "text"


class DatePart(StrEnum):
    """The parts of a date that the model reads."""

    YEAR = "year"
    MONTH = "month"
    WEEKDAY = "weekday"
    AGE = "age"
    """Years from the date to the day of training, or of the event; 365.25 days each."""

    @property
    def kind(self) -> Kind:
        return Kind.NUMERIC if self is DatePart.AGE else Kind.CATEGORICAL

    def of(self, day: date | None, today: date) -> str | float:
        """Returns the part in the type of its kind: text ("": missing) or a float (NaN: missing)."""
        if self is DatePart.AGE:
            return float("nan") if day is None else (today - day).days / 365.25
        if day is None:
            return ""
        return str({DatePart.YEAR: day.year, DatePart.MONTH: day.month}.get(self, day.isoweekday()))


@dataclass(frozen=True)
class Column:
    """A column of users or items other than the key, or a part of a date column."""

    name: str
    """The column's name in the source, for instance `city`; of a date's part `birthday.year`."""
    kind: Kind
    separator: str = ""
    """The text that joins the values of a `tags` column, for instance `|`; empty for other kinds."""
    source: str = ""
    """The date column that a part is derived from; empty for other columns."""
    part: DatePart | None = None
    """The part of the date; `None` for other columns."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The source of a role's rows: a table, with or without an SQL condition, or one SQL statement."""

    table: str = ""
    """The table's name, for instance `customers`; empty where `query` is given."""
    where: str = ""
    """An SQL condition on the table's rows, for instance `customer_id > 0`; empty: all rows."""
    query: str = ""
    """One SELECT statement; empty where `table` is given."""

    @property
    def label(self) -> str:
        """The name in messages: the table's, or "the query"."""
        return self.table or "the query"

    @property
    def sql(self) -> str:
        """The SQL after `FROM` in a statement for MySQL."""
        if self.query:
            return f"({self.query}\n) AS source_rows"  # the query's last line may end in a comment
        if self.where:
            return f"(SELECT * FROM {quoted(self.table)} WHERE {self.where}\n) AS source_rows"  # noqa: S608
        return quoted(self.table)

    def rows_to_dict(self) -> dict[str, str]:
        return {key: value for key in ("table", "where", "query") if (value := getattr(self, key))}


@dataclass(frozen=True, kw_only=True)
class Entity(Rows):
    """Users or items: their rows, their key and their columns in the order of the file."""

    key: str
    """The column that identifies a row, for instance `customerNumber`."""
    key_type: KeyType
    """`integer` or `text`; the type of the key in the training data."""
    columns: tuple[Column, ...]
    """The other columns that are read, in the order of the file."""
    in_stock: str | None = None
    """Items only: the column that is above zero while an item is in stock; `None`: always in stock."""
    name: str | None = None
    """Items only: the column with the item's name for people; it is not in the training data."""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that the model reads, with a date's parts in place of the date."""
        return tuple(feature for column in self.columns for feature in _features(column))


def _features(column: Column) -> tuple[Column, ...]:
    if column.kind is Kind.DATE:
        return tuple(
            Column(f"{column.name}.{part.value}", part.kind, source=column.name, part=part) for part in DatePart
        )
    return () if column.kind is Kind.PASSTHROUGH else (column,)


@dataclass(frozen=True, kw_only=True)
class Ratings(Rows):
    """Ratings, or purchases (also rentals or clicks), where each row counts as a liked rating of 1."""

    user: str
    """The column with the user's key."""
    item: str
    """The column with the item's key."""
    rating: str | None = None
    """The column with the rating; `None`: the rows are purchases."""
    scale: tuple[int, int] = (1, 1)
    """The lowest and the highest rating, for instance (1, 5)."""
    liked: int = 1
    """The least rating that counts as liked, for instance 4."""
    time: str | None = None
    """The column with the time of the rating; `None`: ratings have no order."""
    quantity: str | None = None
    """Purchases only: the column with the number of items. The rows of a user and an item are added up, and a sum below
    one means that the item was returned. `None`: each row counts as one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the ratings that are read."""
        return tuple(filter(None, (self.user, self.item, self.rating, self.time, self.quantity)))


@dataclass(frozen=True)
class Quality:
    """Thresholds beyond which the ETL refuses to replace the training data; shares from 0 to 1."""

    max_rejected: float = 0.05
    """The largest share of a table's rows that may be rejected."""
    min_rows: float = 0.5
    """The least number of rows, as a share of the last run's."""


class Exclude(StrEnum):
    """The items that are not recommended to a customer again."""

    RATED = "rated"
    """Whatever the customer has rated, liked or not; where rows are purchases, whatever was bought."""
    BOUGHT = "bought"
    """The same, where rows are purchases; ratings do not tell what was bought."""
    NONE = "none"


@dataclass(frozen=True)
class Serving:
    """Items that are left out of recommendations, both served and measured."""

    exclude: Exclude = Exclude.RATED
    exclude_days: int | None = None
    """Days after which an item may come back; `None`: never."""

    def to_dict(self) -> dict[str, Any]:
        days = {} if self.exclude_days is None else {"exclude_days": self.exclude_days}
        return {"exclude": self.exclude.value, **days}


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
    serving: Serving = Serving()

    @property
    def quantity(self) -> str | None:
        """Purchases only: the training data's column of how many a user has bought of an item, over all rows."""
        return None if self.ratings.rating else self.training_names["ratings", self.ratings.quantity or COUNT]

    @property
    def partition(self) -> str:
        """The name of the partition folders' key."""
        return BUCKET if self.buckets else self.training_names["users", self.users.key]

    @cached_property
    def training_names(self) -> Mapping[tuple[str, str], str]:
        """("users", "items" or "ratings", a column of the source) → the column's name in the training data.

        The training data is one flat table, whose names know no case and only letters, digits and `_`. A name that
        two tables have gets its table's role in front.
        """
        wanted = {place: re.sub(r"\W", "_", place[1]).lstrip("_") or "column" for place in self._training_columns()}
        seen = [name.lower() for name in wanted.values()]
        taken = {BUCKET}
        clash = {place for place, name in wanted.items() if seen.count(name.lower()) > 1 or name.lower() in taken}
        names: dict[tuple[str, str], str] = {}
        for place in sorted(wanted, key=lambda place: place in clash):
            name = f"{place[0]}_{wanted[place]}" if place in clash else wanted[place]
            while name.lower() in taken:
                name += "_"
            taken.add(name.lower())
            names[place] = name
        return {place: names[place] for place in wanted}

    def _training_columns(self) -> Iterator[tuple[str, str]]:
        for role, entity in (("users", self.users), ("items", self.items)):
            yield role, entity.key
            yield from ((role, column.name) for column in entity.columns)
        ratings = self.ratings
        yield from (("ratings", name) for name in (ratings.rating, ratings.time, ratings.quantity) if name)
        if not ratings.rating and not ratings.quantity:
            yield "ratings", COUNT

    def to_dict(self) -> dict[str, Any]:
        """The specification in the shape of the file, as a manifest carries it; `from_dict` reads it back."""
        ratings: dict[str, Any] = {**self.ratings.rows_to_dict(), "user": self.ratings.user, "item": self.ratings.item}
        if self.ratings.rating:
            ratings |= {"rating": self.ratings.rating, "scale": list(self.ratings.scale), "liked": self.ratings.liked}
        ratings |= {key: value for key in ("time", "quantity") if (value := getattr(self.ratings, key))}
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
            "serving": self.serving.to_dict(),
        }


COUNT = "quantity"
"""The training data's column of purchases where the source has none: each row counts as one."""
BUCKET = "bucket"
"""The partition's name in the training data where there are buckets."""


def load(path: Path) -> Dataset:
    """Reads `dataset.toml`. Raises `DatasetError` naming the file and every mistake in it, with its line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path}:{line}: expected UTF-8, found the byte {content[error.start]:#x}") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "dataset.toml") -> Dataset:
    """Reads the text of a `dataset.toml`. Raises `DatasetError`."""
    text = text.removeprefix("\ufeff")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{source}: not TOML: {error}") from error
    return from_dict(document, source, key_lines(text))


def from_dict(
    document: Mapping[str, Any], source: str = "dataset", lines: Mapping[tuple[str, ...], int] | None = None
) -> Dataset:
    """Builds a specification of the shape that `to_dict` gives. Raises `DatasetError`.

    `lines` says where in the file the keys are, by their paths.
    """
    reader = _Reader(source, lines or {})
    dataset = reader.dataset(document)
    if reader.mistakes or dataset is None:
        raise DatasetError("\n".join(reader.mistakes))
    return dataset


def quoted(name: str) -> str:
    """A table's or column's name as MySQL has it."""
    return "`" + name.replace("`", "``") + "`"


def _entity_to_dict(entity: Entity) -> dict[str, Any]:
    document: dict[str, Any] = {**entity.rows_to_dict(), "key": entity.key, "key_type": entity.key_type.value}
    if entity.in_stock:
        document["in_stock"] = entity.in_stock
    if entity.name:
        document["name"] = entity.name
    document["columns"] = {
        column.name: f"{column.kind.value}:{column.separator}" if column.separator else column.kind.value
        for column in entity.columns
    }
    return document


_ROW_KEYS = {"table", "where", "query"}
_STATEMENT = re.compile(r"\s*(?:(?:--|#).*\n\s*|/\*.*?\*/\s*)*(?:SELECT\b|WITH\b|\()", re.IGNORECASE | re.DOTALL)


class _Reader:
    """Reads a document and collects every mistake instead of stopping at the first.

    What is only the consequence of a mistake is not told: a missing table's keys, a column that `in_stock` names and
    whose own kind is wrong.
    """

    def __init__(self, source: str, lines: Mapping[tuple[str, ...], int]) -> None:
        self.source = source
        self.lines = lines
        self.mistakes: list[str] = []

    def mistake(self, where: tuple[str, ...], expected: str, found: object) -> None:
        line = next((self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines), None)
        place = self.source if line is None else f"{self.source}:{line}"
        shown = "nothing" if found is None else repr(found)
        self.mistakes.append(f"{place}: {'.'.join(where)}: expected {expected}, found {shown}")

    def dataset(self, document: Mapping[str, Any]) -> Dataset | None:
        self.unknown_keys((), document, {"users", "items", "ratings", "event", "output", "quality", "serving"})
        users, items = self.entity("users", document), self.entity("items", document)
        ratings = self.ratings(document)
        event = self.table(("event",), document)
        self.unknown_keys(("event",), event, {"features"})
        output = self.table(("output",), document)
        self.unknown_keys(("output",), output, {"name", "buckets"})
        name = self.text(("output", "name"), output, default="ratings-ml-training")
        buckets = self.integer(("output", "buckets"), output.get("buckets", 0), 0, 65_536)
        features = self.event_features(self.table(("event", "features"), event), document)
        quality = self.quality(self.table(("quality",), document))
        serving = self.serving(self.table(("serving",), document), ratings)
        if self.mistakes or users is None or items is None or ratings is None:
            return None
        return Dataset(users, items, ratings, features, name, buckets, quality, serving)

    def entity(self, role: str, document: Mapping[str, Any]) -> Entity | None:
        table = self.required_table(role, document)
        if table is None:
            return None
        only_items = {"in_stock", "name"} if role == "items" else set()
        self.unknown_keys((role,), table, {*_ROW_KEYS, "key", "key_type", "columns", *only_items})
        rows, key = self.rows(role, table), self.text((role, "key"), table)
        declared = self.table((role, "columns"), table)
        columns = tuple(self.columns(role, declared, key))
        key_type = table.get("key_type", "text")
        if key_type not in list(KeyType):
            self.mistake((role, "key_type"), "'integer' or 'text'", key_type)
            key_type = KeyType.TEXT
        in_stock = self.name(role, "in_stock", table) if role == "items" else None
        numbers = [column.name for column in columns if column.kind.is_number]
        wrong_itself = in_stock in declared and in_stock not in [column.name for column in columns]
        if in_stock is not None and in_stock not in numbers and not wrong_itself:
            self.mistake((role, "in_stock"), "a numeric or integer column of [items.columns]", in_stock)
        name = self.name(role, "name", table) if role == "items" else None
        return Entity(**rows, key=key, key_type=KeyType(key_type), columns=columns, in_stock=in_stock, name=name)

    def rows(self, role: str, table: Mapping[str, Any]) -> dict[str, str]:
        """`table`, with `where` or without, or `query`."""
        found = {key: self.text((role, key), table) for key in ("table", "where", "query") if key in table}
        if ("table" in found) == ("query" in found):
            self.mistake((role,), "either table or query", " and ".join(found) or None)
        if "query" in found:
            query = found["query"] = found["query"].strip().removesuffix(";")
            if query and not _STATEMENT.match(query):
                self.mistake((role, "query"), "one SELECT statement", query[:60])
            if "where" in found:
                self.mistake((role, "where"), "a condition beside table only (write it into the query)", found["where"])
        return found

    def columns(self, role: str, table: Mapping[str, Any], key: str) -> Iterator[Column]:
        seen = {key.lower(): f"{role}.key"}
        for name, value in table.items():
            kind, _, separator = value.partition(":") if isinstance(value, str) else ("", "", "")
            if not name:
                self.mistake((role, "columns", name), "a column's name", name)
            elif name.lower() in seen:  # MySQL's column names know no case
                self.mistake((role, "columns", name), f"a column that is not {seen[name.lower()]} already", name)
            elif kind not in list(Kind) or (kind == Kind.TAGS) != bool(separator):
                kinds = ", ".join(kind.value for kind in Kind if kind is not Kind.TAGS)
                self.mistake((role, "columns", name), f"{kinds} or 'tags:<separator>'", value)
            else:
                yield Column(name, Kind(kind), separator)
            seen.setdefault(name.lower(), f"a column of [{role}.columns]")

    def ratings(self, document: Mapping[str, Any]) -> Ratings | None:
        table = self.required_table("ratings", document)
        if table is None:
            return None
        only = {"rating", "scale", "liked"} if "rating" in table else {"quantity"}
        for key in sorted({"scale", "liked", "quantity"} - only):
            if key in table:
                beside = "rating" if key != "quantity" else "purchases (no ratings.rating)"
                self.mistake(("ratings", key), f"it only beside {beside}", table[key])
        known = {*_ROW_KEYS, "user", "item", "time", "rating", "scale", "liked", "quantity"}
        self.unknown_keys(("ratings",), table, known)
        rows, user, item = (
            self.rows("ratings", table),
            *(self.text(("ratings", key), table) for key in ("user", "item")),
        )
        rating, time, quantity = (self.name("ratings", key, table) for key in ("rating", "time", "quantity"))
        self.different_columns({"user": user, "item": item, "rating": rating, "time": time, "quantity": quantity})
        scale, liked = self.scale(table) if "rating" in table else ((1, 1), 1)
        return Ratings(
            **rows, user=user, item=item, rating=rating, scale=scale, liked=liked, time=time, quantity=quantity
        )

    def scale(self, table: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
        scale = table.get("scale", [1, 5])
        if not (
            isinstance(scale, list)
            and len(scale) == 2
            and all(isinstance(end, int) and not isinstance(end, bool) for end in scale)
            and scale[0] < scale[1]
        ):
            self.mistake(("ratings", "scale"), "[lowest, highest], two rising whole numbers", scale)
            return (1, 5), 5
        lowest, highest = scale
        return (lowest, highest), self.integer(("ratings", "liked"), table.get("liked", highest), lowest, highest)

    def different_columns(self, names: Mapping[str, str | None]) -> None:
        seen: dict[str, str] = {}
        for key, name in names.items():
            if name and name.lower() in seen:
                self.mistake(("ratings", key), f"a column that is not ratings.{seen[name.lower()]} already", name)
            seen.setdefault((name or "").lower(), key)

    def quality(self, table: Mapping[str, Any]) -> Quality:
        self.unknown_keys(("quality",), table, {"max_rejected", "min_rows"})
        return Quality(**{key: self.share(("quality", key), table[key]) for key in asdict(Quality()) if key in table})

    def serving(self, table: Mapping[str, Any], ratings: Ratings | None) -> Serving:
        self.unknown_keys(("serving",), table, {"exclude", "exclude_days"})
        exclude, days = table.get("exclude", Exclude.RATED.value), table.get("exclude_days")
        if exclude not in list(Exclude):
            self.mistake(("serving", "exclude"), "'rated', 'bought' or 'none'", exclude)
            exclude = Exclude.RATED
        if exclude == Exclude.BOUGHT and ratings and ratings.rating:
            self.mistake(("serving", "exclude"), "'rated' or 'none' (ratings do not tell what was bought)", exclude)
        if days is None:
            return Serving(Exclude(exclude))
        if exclude == Exclude.NONE:
            self.mistake(("serving", "exclude_days"), "it only beside exclude = 'rated' or 'bought'", days)
        if ratings and not ratings.time:
            self.mistake(("serving", "exclude_days"), "it only beside ratings.time", days)
        return Serving(Exclude(exclude), self.integer(("serving", "exclude_days"), days, 1, 36_500))

    def event_features(self, table: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, str]:
        users = document.get("users")
        declared = users.get("columns", {}) if isinstance(users, Mapping) else None
        if not isinstance(declared, Mapping):
            return {}
        known = [name for name, kind in declared.items() if kind != Kind.PASSTHROUGH]
        for field, column in table.items():
            if column not in known:
                place = ("event", "features", field)
                self.mistake(place, f"a feature of [users.columns] ({', '.join(known)})", column)
        return dict(table)

    def required_table(self, key: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        value = document.get(key)
        if isinstance(value, Mapping):
            return value
        self.mistake((key,), f"a table [{key}]", value)
        return None

    def table(self, path: tuple[str, ...], parent: Mapping[str, Any]) -> Mapping[str, Any]:
        value = parent.get(path[-1], {})
        if isinstance(value, Mapping):
            return value
        self.mistake(path, f"a table [{'.'.join(path)}]", value)
        return {}

    def text(self, path: tuple[str, ...], table: Mapping[str, Any], default: str | None = None) -> str:
        value = table.get(path[-1], default)
        if isinstance(value, str) and value.strip():
            return value
        self.mistake(path, {"query": "an SQL statement", "where": "an SQL condition"}.get(path[-1], "a name"), value)
        return ""

    def name(self, role: str, key: str, table: Mapping[str, Any]) -> str | None:
        """An optional column's name."""
        return self.text((role, key), table) or None if key in table else None

    def integer(self, path: tuple[str, ...], value: object, lowest: int, highest: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.mistake(path, f"a whole number from {lowest} to {highest}", value)
        return lowest

    def share(self, path: tuple[str, ...], value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.mistake(path, "a share from 0 to 1", value)
        return 0.0

    def unknown_keys(self, path: tuple[str, ...], table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self.mistake((*path, key), f"one of {', '.join(sorted(known))}", key)
