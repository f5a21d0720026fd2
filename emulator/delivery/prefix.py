"""Firehose's expressions in the names of S3 objects: `!{timestamp:…}` and `!{firehose:…}`.

The rules are those of Firehose's developer guide, "Understand custom prefixes for Amazon S3 objects".
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from emulator.errors import LocalRunError

MAX_LENGTH = 512
"""The most characters of an evaluated prefix."""

DEFAULT_TIMESTAMP = "!{timestamp:yyyy/MM/dd/HH/}"
ERROR_OUTPUT_TYPE = "!{firehose:error-output-type}"

_EXPRESSION = re.compile(r"!\{([^:{}]*):([^{}]*)\}")
_LETTERS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
"""Pattern letters of Java's `DateTimeFormatter` → the same in `strftime`. Firehose knows more letters, and quotes; the
components use none of them."""
_PATTERN = re.compile(f"(?:{'|'.join(_LETTERS)}|[/_=.:-])*")


@dataclass(frozen=True)
class Prefixes:
    """The two checked prefixes of a destination. They are evaluated for each object."""

    data: str
    error: str

    def for_data(self, moment: datetime) -> str:
        """Returns the prefix of a data object; `moment` (UTC) is the arrival of the object's oldest record."""
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


def _expressions(prefix: str, where: str) -> list[str]:
    """Returns the expressions of a prefix. Raises `LocalRunError` for one that is malformed or not realised."""
    if "!{" in _EXPRESSION.sub("", prefix):
        raise LocalRunError(f"{where}: prefix {prefix!r}: '!{{' may only open an expression !{{namespace:value}}")
    for namespace, value in _EXPRESSION.findall(prefix):
        if namespace == "timestamp":
            if not _PATTERN.fullmatch(value):
                raise LocalRunError(
                    f"{where}: prefix {prefix!r}: the local run knows the pattern letters {', '.join(_LETTERS)} and "
                    f"/ _ = . : - between them, found {value!r}"
                )
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
            return re.sub("|".join(_LETTERS), lambda run: f"{moment:{_LETTERS[run[0]]}}", value)
        return error_type if value == "error-output-type" else secrets.token_hex(6)[:11]

    evaluated = _EXPRESSION.sub(value_of, prefix)
    if len(evaluated) > MAX_LENGTH:
        raise LocalRunError(f"prefix {prefix!r}: at most {MAX_LENGTH} characters evaluated, found {len(evaluated)}")
    return evaluated
