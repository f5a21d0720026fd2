"""The reference part of docs/api.md, made from the OpenAPI document: `python -m local api`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contracts import api

_BOUNDS = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " entries"))


def main(_: list[str]) -> int:
    """Prints the reference of the HTTP API as Markdown, as docs/api.md has it."""
    print(reference(), end="")
    return 0


def reference() -> str:
    """Returns every operation with its parameters, body and answers, the answers that all have, and the schemas."""
    operations = list(api.operations())
    shared = set.intersection(*({*_answers(operation)} for _, operation in operations))
    lines: list[str] = []
    for key, operation in operations:
        lines += [
            *_operation(key, operation),
            *_table(answer for answer in _answers(operation) if answer not in shared),
        ]
    lines += ["### Answers of every operation", "", *_table(sorted(shared)), "### Schemas", ""]
    for name, schema in api.document()["components"]["schemas"].items():
        if schema.get("type") == "object":
            lines += [f"#### {name}", "", *_described(schema), *_fields(schema), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _operation(key: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {key}", "", f"{operation['summary']}. {operation.get('description', '')}".rstrip(), "")
    if parameters := [api.resolve(each) for each in operation.get("parameters", [])]:
        yield from ("| parameter | in | type | |", "|---|---|---|---|")
        for each in parameters:
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {each['description']} |"
        yield ""
    if "requestBody" in operation:
        yield from (f"Body: {_media(operation['requestBody']['content'])}.", "")


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    for status, response in sorted(operation["responses"].items()):
        found = api.resolve(response)
        yield f"| {status} | {_media(found['content'])} | {found['description']} |"


def _table(answers: Iterable[str]) -> list[str]:
    return ["| status | answer | |", "|---|---|---|", *answers, ""]


def _described(schema: Mapping[str, Any]) -> list[str]:
    return [schema["description"], ""] if "description" in schema else []


def _fields(schema: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, field in schema["properties"].items():
        required = "yes" if name in schema.get("required", []) else ""
        rows.append(f"| `{name}` | {_type(field)} | {required} | {api.resolve(field).get('description', '')} |")
    return ["| field | type | required | |", "|---|---|---|---|", *rows]


def _media(content: Mapping[str, Any]) -> str:
    return " or ".join(f"{_type(media['schema'])} as `{name}`" for name, media in content.items())


def _type(schema: Mapping[str, Any]) -> str:
    """Such as `[Problem](#problem)`, or `integer, 1 to 100, default 10`."""
    if "$ref" in schema and api.resolve(schema).get("type") == "object":
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    schema = api.resolve(schema)
    types = schema.get("type", "any value")
    words = types if isinstance(types, str) else " or ".join(types)
    if types == "array":
        words = f"list of {_type(schema['items'])}" if schema["items"].keys() & {"type", "$ref"} else "list"
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        words += ": " + ", ".join(f"`{choice}`" for choice in choices)
    for least, most, unit in _BOUNDS:
        if most in schema:
            bounds = f"{schema[least]} to" if least in schema else "at most"
            words += f", {bounds} {schema[most]}{unit}"
    return words + (f", default {schema['default']}" if "default" in schema else "")
