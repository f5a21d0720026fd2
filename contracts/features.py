"""Maps a feature's raw value to the value that the towers read, in the same way for training data and for events.

The lake holds a categorical column as text, however the source wrote it (`true`, `12.50`, Spark's `1.2E7`); an event
says the same as a boolean, a number or text of JSON. Both become the same text here, and so reach the same entry of the
vocabulary. `tests/training/test_feature_mapping.py` holds the two sides together.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice, pairwise
from typing import Any

from contracts.columns import Column, Kind
from contracts.events import MAX_TAGS, MAX_TAGS_CHARACTERS, MAX_TEXT_CHARACTERS

FLOAT32_MAX = 3.4028234663852886e38
MAX_NUMBER = 1e30
"""A number beyond this stands for "none", as the largest double does: no shop counts so far. 32-bit floats hold it."""
_TRUTH = {"true": "1", "false": "0"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
MAX_WORDS, MAX_WORDS_CHARACTERS = 50, 10_000
"""The most words and characters of a text that are read, the first ones. They bound the memory of a training step,
which reads the words of the whole catalogue."""
_MARKUP = re.compile(r"<[^<>]*>")
_SPACED = "\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0dff\u0f00-\u0fff"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"(?:[^\W_]|[{_SPACED}{_UNSPACED}])+")
"""Letters and digits; also the marks of Hebrew, Arabic and the scripts of India, which are no letters to Python."""
_WITHOUT_SPACES = re.compile(f"[{_UNSPACED}]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese have no space between words."""
_PLAIN_DIGITS = 40
"""A number of more digits than this is written with an exponent."""


def value(column: Column, raw: Any, today: date) -> float | str | tuple[str, ...]:
    """Returns the value that a tower reads for a column: a float (NaN: missing), a text ("": missing), or a tuple of
    texts (tags, or the words of a text)."""
    if column.part is not None:
        return column.part.of(day(raw), today)
    if column.kind.is_number:
        return number(raw)
    if column.kind is Kind.TAGS:
        return tags(raw, column.separator)
    if column.kind is Kind.TEXT:
        return words(raw)
    return boolean(raw) if column.kind is Kind.BOOLEAN else text(raw)


def number(value: Any) -> float:
    """Reads a number, a boolean, or the text of either; NaN for any other value, and beyond `MAX_NUMBER`."""
    found = parsed(value)
    return found if abs(found) <= MAX_NUMBER else math.nan


def parsed(value: Any) -> float:
    """The number that a value says, however large (beyond the doubles: infinity); NaN where it says none."""
    if isinstance(value, str):
        text_of = value.strip()
        text_of = _TRUTH.get(text_of.lower(), text_of)
        value = text_of if _NUMBER.fullmatch(text_of) else None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def text(value: Any) -> str:
    """Returns a category as text; empty where it is missing, longer than `MAX_TEXT_CHARACTERS`, or no plain value.

    Booleans are `1` and `0`; a number with a fraction or an exponent is written in one way; other text is trimmed and
    composed (Unicode's NFC). A whole number's text stays as it is, so that a postal code keeps its zeros.
    """
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return _category(value if isinstance(value, str) else _plain_text(value))


def _category(value: str) -> str:
    if len(value) > MAX_TEXT_CHARACTERS:
        return ""
    if not value.isascii():
        # Half a surrogate pair has no UTF-8, which is what ONNX Runtime takes.
        value = unicodedata.normalize("NFC", value.encode(errors="ignore").decode())
    value = value.strip()
    if _FRACTION.fullmatch(value) and not value.lstrip("-").isdigit():
        return _one_way(value)
    return _TRUTH.get(value.lower(), value)


def boolean(value: Any) -> str:
    """Returns `1`, `0`, or empty for a missing value. A number other than zero is true, as in MySQL."""
    found = number(value)
    return "" if math.isnan(found) else str(int(found != 0))


def day(value: Any) -> date | None:
    """Reads a date, a datetime, or a text that begins with a date (ISO 8601, `2026-01-31`); None for any other
    value."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value.strip()[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def tags(value: Any, separator: str) -> tuple[str, ...]:
    """Returns the categories of a joined text or of a list: the first `MAX_TAGS`, without empty ones."""
    if isinstance(value, str):
        parts: Iterable[str] = value.split(separator) if len(value) <= MAX_TAGS_CHARACTERS else ()
    elif isinstance(value, list | tuple):
        parts = (part for element in value for part in _split(element, separator))
    else:
        parts = (text(value),)
    return tuple(islice(filter(None, map(text, parts)), MAX_TAGS))


def words(value: Any) -> tuple[str, ...]:
    """Returns the different words of a text, without HTML's tags, in small letters (Unicode's NFKC, case folded): the
    first `MAX_WORDS` of two characters or more. Where a script has no spaces, each two neighbouring characters are a
    word. A missing value has none; a value of another type is read as `text` reads it."""
    told = (value if isinstance(value, str) else text(value))[:MAX_WORDS_CHARACTERS]
    folded = _MARKUP.sub(" ", unicodedata.normalize("NFKC", told.encode(errors="ignore").decode()).casefold())
    found = (part for word in _WORD.findall(folded) for part in _parts(word))
    return tuple(islice(dict.fromkeys(found), MAX_WORDS))


def _parts(word: str) -> Iterator[str]:
    if not _WITHOUT_SPACES.search(word):
        yield from (word,) if len(word) > 1 else ()
        return
    yield from map("".join, pairwise(word)) if len(word) > 1 else (word,)


def _split(element: Any, separator: str) -> list[str]:
    """Splits an element of a list too: the source joins its values, so the lake cannot tell `"a|b"` from two values."""
    return element.split(separator) if isinstance(element, str) else [text(element)]


def _plain_text(value: Any) -> str:
    try:
        return str(value) if isinstance(value, int | float | Decimal | date) else ""
    except ValueError:  # a whole number of over 4,300 digits
        return ""


def _one_way(number_text: str) -> str:
    """Writes a number's text in one way: `12.50`, `12.5` and `1.25E1` all become `12.5`."""
    try:
        sign, digits, exponent = Decimal(number_text).as_tuple()
    except InvalidOperation:
        return number_text
    assert isinstance(exponent, int), "the text is that of a finite number"
    significant = "".join(map(str, digits)).lstrip("0")
    exponent += len(significant)
    significant = significant.rstrip("0")
    if not significant:
        return "0"
    minus = "-" if sign else ""
    if exponent <= -_PLAIN_DIGITS or max(exponent, len(significant)) > _PLAIN_DIGITS:
        return f"{minus}0.{significant}E{exponent}"
    if exponent <= 0:
        return f"{minus}0.{'0' * -exponent}{significant}"
    whole = significant.ljust(exponent, "0")
    return f"{minus}{whole[:exponent]}" + (f".{whole[exponent:]}" if whole[exponent:] else "")
