"""Reads a dataset specification: from `dataset.toml`, or as a manifest carries it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contracts.columns import Column, KeyType, Kind
from contracts.dataset import Dataset, Entity, Exclude, Quality, Ratings, Serving
from contracts.document_reader import DocumentReader
from contracts.toml_lines import key_lines


class DatasetError(ValueError):
    """The dataset specification cannot be used; the text lists every mistake, a line each."""


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
    reader = _DatasetReader(source, lines or {})
    dataset = reader.dataset(document)
    if reader.mistakes or dataset is None:
        raise DatasetError("\n".join(reader.mistakes))
    return dataset


MAX_LABELS = 20
"""The most labels of `[items.display]`: each item of an answer carries all of them."""

_ROW_KEYS = {"table", "where", "query"}
_STATEMENT = re.compile(r"\s*(?:(?:--|#).*\n\s*|/\*.*?\*/\s*)*(?:SELECT\b|WITH\b|\()", re.IGNORECASE | re.DOTALL)


class _DatasetReader(DocumentReader):
    """Reads a whole specification.

    It does not report what only follows from another mistake: the keys of a missing table, or a column that `in_stock`
    names and whose own kind is wrong.
    """

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
        only_items = {"in_stock", "name", "display"} if role == "items" else set()
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
        display = self.display(table, key, columns) if role == "items" else {}
        kind = KeyType(key_type)
        return Entity(**rows, key=key, key_type=kind, columns=columns, in_stock=in_stock, name=name, display=display)

    def display(self, items: Mapping[str, Any], key: str, columns: tuple[Column, ...]) -> dict[str, str]:
        """Label → column, in the spelling of `[items.columns]` where it is there: MySQL's names know no case."""
        spelled = {name.lower(): name for name in (key, *(column.name for column in columns))}
        found: dict[str, str] = {}
        table = self.table(("items", "display"), items)
        for label in table:
            where = ("items", "display", label)
            column = self.text(where, table)
            column = spelled.get(column.lower(), column)
            if not label.strip():
                self.mistake(where, "a label such as price", label)
            elif label in spelled.values() and label != column:
                self.mistake(where, f"the column {label} itself, since [items] has one of this name", column)
            found[label] = column
        if len(found) > MAX_LABELS:
            self.mistake(("items", "display"), f"at most {MAX_LABELS} labels", len(found))
        return found

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
        allowed = [kind for kind in Kind if kind is not Kind.TEXT or role == "items"]
        for name, value in table.items():
            kind, _, separator = value.partition(":") if isinstance(value, str) else ("", "", "")
            if not name:
                self.mistake((role, "columns", name), "a column's name", name)
            elif name.lower() in seen:  # MySQL's column names know no case
                self.mistake((role, "columns", name), f"a column that is not {seen[name.lower()]} already", name)
            elif kind not in allowed or (kind == Kind.TAGS) != bool(separator):
                kinds = ", ".join(kind.value for kind in allowed if kind is not Kind.TAGS)
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
