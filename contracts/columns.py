"""The columns of a shop's tables: their kinds, the types of keys, and the parts of a date that the model reads."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


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
    TEXT = "text"
    """A name or a description of an item, of which the model reads the words if they help."""
    PASSTHROUGH = "passthrough"
    """Kept in the training data, and not read by the model."""

    @property
    def is_number(self) -> bool:
        return self in (Kind.NUMERIC, Kind.INTEGER)

    @property
    def is_list(self) -> bool:
        """Returns True if the model reads several values of a column: tags, or the words of a text."""
        return self in (Kind.TAGS, Kind.TEXT)


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
