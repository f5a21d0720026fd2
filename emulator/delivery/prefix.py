"""Firehose's expressions in the names of S3 objects: `!{timestamp:…}` and `!{firehose:…}`.

The rules are those of Firehose's developer guide, "Understand custom prefixes for Amazon S3 objects".
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from emulator.errors import LocalRunError

MAX_LENGTH = 512
"""The longest that an evaluated prefix may be, in characters."""

DEFAULT_TIMESTAMP = "!{timestamp:yyyy/MM/dd/HH/}"
ERROR_OUTPUT_TYPE = "!{firehose:error-output-type}"

_EXPRESSION = re.compile(r"!\{([^:{}]*):([^{}]*)\}")
# A quoted literal, a pattern letter with its repeats, or anything else; Java's DateTimeFormatter, "Patterns".
_PATTERN = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z'])")
_RESERVED = "{}#[]"

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _number(letter: str, *widths: int) -> dict[str, str]:
    return {letter * width: f"0{width}d" for width in widths}


_NUMBERS: dict[str, tuple[Callable[[datetime], int], dict[str, str]]] = {
    "y": (lambda t: t.year, _number("y", 1, 3, 4)),
    "u": (lambda t: t.year, _number("u", 1, 3, 4)),
    "M": (lambda t: t.month, _number("M", 1, 2)),
    "d": (lambda t: t.day, _number("d", 1, 2)),
    "D": (lambda t: t.timetuple().tm_yday, _number("D", 1, 2, 3)),
    "H": (lambda t: t.hour, _number("H", 1, 2)),
    "k": (lambda t: t.hour or 24, _number("k", 1, 2)),
    "K": (lambda t: t.hour % 12, _number("K", 1, 2)),
    "h": (lambda t: t.hour % 12 or 12, _number("h", 1, 2)),
    "m": (lambda t: t.minute, _number("m", 1, 2)),
    "s": (lambda t: t.second, _number("s", 1, 2)),
}
_TEXTS: dict[str, Callable[[datetime], str]] = {
    "yy": lambda t: f"{t.year % 100:02d}",
    "uu": lambda t: f"{t.year % 100:02d}",
    "MMM": lambda t: _MONTHS[t.month - 1][:3],
    "MMMM": lambda t: _MONTHS[t.month - 1],
    "E": lambda t: _DAYS[t.weekday()][:3],
    "EE": lambda t: _DAYS[t.weekday()][:3],
    "EEE": lambda t: _DAYS[t.weekday()][:3],
    "EEEE": lambda t: _DAYS[t.weekday()],
    "a": lambda t: "AM" if t.hour < 12 else "PM",
    "SSS": lambda t: f"{t.microsecond // 1000:03d}",
}


@dataclass(frozen=True)
class Prefixes:
    """A destination's pair of prefixes, checked; each is evaluated for every object anew."""

    data: str
    error: str

    def for_data(self, moment: datetime) -> str:
        """The data's prefix; `moment` is the arrival of the object's oldest record, in the stream's time zone."""
        return _evaluate(self.data, moment, "")

    def for_errors(self, moment: datetime, error_type: str) -> str:
        return _evaluate(self.error, moment, error_type)


def read_prefixes(prefix: str | None, error_prefix: str | None, where: str) -> Prefixes:
    """Checks a declared pair as Firehose does, and fills in its defaults.

    An error prefix without an expression becomes `<prefix><error-output-type>/yyyy/MM/dd/HH/`. Raises `LocalRunError`
    naming the delivery stream (`where`), the rule and what was found.
    """
    prefix, error_prefix = prefix or "", error_prefix or ""
    data, errors = _expressions(prefix, where), _expressions(error_prefix, where)
    if any(expression == ERROR_OUTPUT_TYPE for expression in data):
        raise LocalRunError(f"{where}: prefix {prefix!r} must not contain {ERROR_OUTPUT_TYPE}: only the error prefix")
    if data and not error_prefix:
        raise LocalRunError(f"{where}: prefix {prefix!r} has expressions, so errorOutputPrefix must be set too")
    if (data or errors) and ERROR_OUTPUT_TYPE not in errors:
        found = f"errorOutputPrefix {error_prefix!r}"
        raise LocalRunError(f"{where}: {found} must contain {ERROR_OUTPUT_TYPE} where either prefix has expressions")
    if not any(expression.startswith("!{timestamp:") for expression in data):
        prefix += DEFAULT_TIMESTAMP
    if not errors:
        base = error_prefix or prefix.removesuffix(DEFAULT_TIMESTAMP)
        error_prefix = f"{base}{ERROR_OUTPUT_TYPE}/{DEFAULT_TIMESTAMP}"
    return Prefixes(prefix, error_prefix)


def format_timestamp(pattern: str, moment: datetime) -> str:
    """Formats as Java's DateTimeFormatter would, of whose letters those are known that name a date or a time of day.

    Raises `ValueError` naming the letters or the character that are not.
    """
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        match = _PATTERN.match(pattern, position)
        if match is None:
            raise ValueError(f"a quote is not closed in {pattern!r}")
        literal, run, letter, other = match.groups()
        if literal is not None:
            pieces.append(literal.replace("''", "'") or "'")
        elif run:
            pieces.append(_format_letters(run, letter, moment))
        elif other in _RESERVED:
            raise ValueError(f"{other!r} is reserved in {pattern!r}: quote it")
        else:
            pieces.append(other)
        position = match.end()
    return "".join(pieces)


def _format_letters(run: str, letter: str, moment: datetime) -> str:
    if run in _TEXTS:
        return _TEXTS[run](moment)
    value, widths = _NUMBERS.get(letter, (None, {}))
    if value is None or run not in widths:
        known = ", ".join([*(w for _, widths in _NUMBERS.values() for w in widths), *_TEXTS])
        raise ValueError(f"{run!r} is none of the pattern letters that the local run knows: {known}")
    return format(value(moment), widths[run])


def _expressions(prefix: str, where: str) -> list[str]:
    """The expressions of a prefix. Raises `LocalRunError` where one is malformed or of another namespace."""
    if "!{" in _EXPRESSION.sub("", prefix):
        raise LocalRunError(f"{where}: prefix {prefix!r}: '!{{' may only open an expression !{{namespace:value}}")
    for namespace, value in _EXPRESSION.findall(prefix):
        if namespace == "timestamp":
            try:
                format_timestamp(value, datetime(2026, 1, 1))
            except ValueError as error:
                raise LocalRunError(f"{where}: prefix {prefix!r}: {error}") from error
        elif namespace != "firehose" or value not in ("error-output-type", "random-string"):
            raise LocalRunError(
                f"{where}: prefix {prefix!r}: expected !{{timestamp:…}}, {ERROR_OUTPUT_TYPE} or "
                f"!{{firehose:random-string}}, found !{{{namespace}:{value}}}"
            )
    return [match.group() for match in _EXPRESSION.finditer(prefix)]


def _evaluate(prefix: str, moment: datetime, error_type: str) -> str:
    def value_of(match: re.Match[str]) -> str:
        namespace, value = match.groups()
        if namespace == "timestamp":
            return format_timestamp(value, moment)
        return error_type if value == "error-output-type" else secrets.token_hex(6)[:11]

    evaluated = _EXPRESSION.sub(value_of, prefix)
    if len(evaluated) > MAX_LENGTH:
        raise LocalRunError(f"prefix {prefix!r}: at most {MAX_LENGTH} characters evaluated, found {len(evaluated)}")
    return evaluated
