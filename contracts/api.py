"""The HTTP API. Its contract is the OpenAPI document beside this file; this reads it, and adds nothing to it."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).with_name("api.json")
METHODS = ("get", "post")


@lru_cache
def document() -> Mapping[str, Any]:
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def operations() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields API Gateway's route key of each operation, such as `GET /v1/popular`, and the operation."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a `$ref` of the document names, or the node itself if it has none."""
    while "$ref" in node:
        found: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def component(name: str) -> dict[str, Any]:
    """Returns a schema of the document as a JSON schema that stands alone."""
    return with_components({"$ref": f"#/components/schemas/{name}"})


def with_components(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON schema in which the document's `$ref`s can be resolved."""
    return {**schema, "components": {"schemas": document()["components"]["schemas"]}}
