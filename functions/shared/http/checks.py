"""Checks values by JSON schemas of the contract, and says of each wrong field what was expected and what was found."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import jsonschema_rs

from functions.shared.http.problems import FOUND_CHARACTERS, FieldError

MAX_ERRORS = 20
"""Errors of one answer: the rest are as good as the first ones."""

WHOLE = "body"
"""The field of an error about the whole value."""

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUNDS = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " entries"),
    ("minProperties", "maxProperties", " keys"),
)


class Schema:
    """A compiled JSON schema (draft 2020-12, which is OpenAPI 3.1's)."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.Draft202012Validator(dict(schema))

    def errors(self, value: Any, field: str = "") -> list[FieldError]:
        """Returns what is wrong with a value, nothing if it is right. `field` is the name of the value itself."""
        # Each once: two parts of a schema may say the same of a field.
        try:
            return list(dict.fromkeys(itertools.islice(self._errors(value, field), MAX_ERRORS)))
        except ValueError:
            # jsonschema-rs tells of no value that has more than 255 levels: "Recursion limit reached".
            return [FieldError(field or WHOLE, "fewer lists and objects within each other", "more than are checked")]

    def _errors(self, value: Any, field: str) -> Iterator[FieldError]:
        for error in self._validator.iter_errors(value):
            where = _path(field, error.instance_path)
            holder = self._at(error.schema_path[:-1])
            wrong: Any = error.instance
            if error.kind.name == "required":
                name = str(error.kind.as_dict()["property"])
                yield FieldError(_path(where, [name]), self._expected(holder["properties"][name]), "nothing")
            elif error.kind.name == "additionalProperties":
                known = f"one of {', '.join(holder['properties'])}"
                for name in sorted(set(wrong) - set(holder["properties"])):
                    yield FieldError(_path(where, [shortened(name)]), known, "an unknown name")
            else:
                yield FieldError(where or WHOLE, self._expected(holder), found(wrong))

    def _at(self, path: Sequence[str | int]) -> Any:
        """The part of the schema at a path."""
        whole: Any = self._schema
        return reduce(lambda node, part: node[part], path, whole)

    def _expected(self, schema: Mapping[str, Any]) -> str:
        """A schema in words, such as `a whole number from 1 to 100`."""
        while "$ref" in schema:
            schema = self._at(schema["$ref"].removeprefix("#/").split("/"))
        if "enum" in schema:
            return f"one of {', '.join(map(str, schema['enum']))}"
        types = schema.get("type", [])
        if "pattern" in schema and "examples" in schema:
            return f"text such as {schema['examples'][0]}"
        words = " or ".join(_TYPES[name] for name in ([types] if isinstance(types, str) else types)) or "another value"
        for least, most, unit in _BOUNDS:
            if least in schema and most in schema:
                words += f" from {schema[least]} to {schema[most]}" if not unit else ""
                words += f" of {schema[least]} to {schema[most]}{unit}" if unit else ""
            elif most in schema:
                words += f" of at most {schema[most]}{unit}"
            elif least in schema:
                words += f" of at least {schema[least]}{unit}"
        return words


def found(value: Any) -> str:
    """Returns a found value as JSON; for long lists and objects only their size."""
    if isinstance(value, list):
        return f"a list of {len(value)} entries"
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    return shortened(json.dumps(value))


def shortened(text: str) -> str:
    return text if len(text) <= FOUND_CHARACTERS else text[: FOUND_CHARACTERS - 1] + "…"


def _path(start: str, parts: Sequence[str | int]) -> str:
    """`items[3].product_code`."""
    path = start
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
