"""The dataset specification: the tables and columns of a shop that are users, items and ratings.

`contracts.dataset_file` reads one from a `dataset.toml`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from contracts.columns import Column, DatePart, KeyType, Kind
from contracts.events import EventType
from contracts.source_rows import Rows

COUNT = "quantity"
"""The training data's column of purchases where the source has none: each row counts as one."""
BUCKET = "bucket"
"""The partition's name in the training data where there are buckets."""


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
    display: Mapping[str, str] = field(default_factory=dict)
    """Items only: label → column of the rows, of any kind, for instance `price` → `buyPrice`."""

    @property
    def shown(self) -> Mapping[str, str]:
        """Label → column of what an answer shows of an item; its name has the label `name`."""
        return {"name": self.name, **self.display} if self.name else self.display

    @property
    def only_shown(self) -> tuple[str, ...]:
        """The columns that are read because an answer shows them, and for nothing else."""
        known = {self.key.lower(), *(column.name.lower() for column in self.columns)}
        return tuple(dict.fromkeys(column for column in self.shown.values() if column.lower() not in known))

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
    """All items that the customer has rated, liked or not; where rows are purchases, all that the customer bought."""
    BOUGHT = "bought"
    """All items that the customer bought. Only for rows that are purchases: ratings do not tell what was bought."""
    NONE = "none"


@dataclass(frozen=True)
class Serving:
    """Items that are left out of recommendations, both served and measured."""

    exclude: Exclude = Exclude.RATED
    exclude_days: int | None = None
    """Days after which an item may come back; `None`: never."""

    @property
    def excluding(self) -> tuple[EventType, ...]:
        """The types of events after which their items are left out for the customer."""
        return {
            Exclude.RATED: (EventType.PURCHASE, EventType.RATING),
            Exclude.BOUGHT: (EventType.PURCHASE,),
            Exclude.NONE: (),
        }[self.exclude]

    def to_dict(self) -> dict[str, Any]:
        days = {} if self.exclude_days is None else {"exclude_days": self.exclude_days}
        return {"exclude": self.exclude.value, **days}


@dataclass(frozen=True)
class Dataset:
    """A whole specification. Make one with `contracts.dataset_file`."""

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
        wanted = {place: _plain(place[1]) for place in self._training_columns()}
        seen = [name.lower() for name in wanted.values()]
        taken = {BUCKET}
        clash = {place for place, name in wanted.items() if seen.count(name.lower()) > 1 or name.lower() in taken}
        names: dict[tuple[str, str], str] = {}
        for place in sorted(wanted, key=lambda place: place in clash):
            names[place] = _take(f"{place[0]}_{wanted[place]}" if place in clash else wanted[place], taken)
        return {place: names[place] for place in wanted}

    @cached_property
    def catalogue_names(self) -> Mapping[str, str]:
        """A column of the items' rows → its name in the items' catalogue in the data lake.

        Those of the training data have the same name there; those that are only shown have one that none of them has.
        """
        training = self.training_names
        taken = {name.lower() for name in training.values()}
        names = {column: name for (role, column), name in training.items() if role == "items"}
        return names | {column: _take(_plain(column), taken) for column in self.items.only_shown}

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


def _plain(column: str) -> str:
    """Returns a column's name with no characters but letters, digits and `_`."""
    return re.sub(r"\W", "_", column).lstrip("_") or "column"


def _take(name: str, taken: set[str]) -> str:
    """Adds a name, in lower case, to those that are taken. Returns it with as many `_` behind it as make it new."""
    while name.lower() in taken:
        name += "_"
    taken.add(name.lower())
    return name


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
    if entity.display:
        document["display"] = dict(entity.display)
    return document
