"""Reads requests as API Gateway passes them on, by the operation of the contract that they call.

The event's shape is payload format 2.0 (API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP
APIs in API Gateway"). Lists are read from `rawQueryString`: in `queryStringParameters` their values are joined by
commas, which an id may hold too.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from contracts import api
from functions.shared.http.checks import Schema, found, shortened
from functions.shared.http.problems import FieldError, ProblemError, bad_request

JSON = "application/json"
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?", re.ASCII)


class Operation:
    """One operation of the contract, and what its requests may hold."""

    def __init__(self, operation: Mapping[str, Any]) -> None:
        self.id: str = operation["operationId"]
        parameters = [api.resolve(parameter) for parameter in operation.get("parameters", [])]
        self._parameters = {each["name"]: api.resolve(each["schema"]) for each in parameters}
        self._in_path = [each["name"] for each in parameters if each["in"] == "path"]
        self._has_body = "requestBody" in operation
        if self._has_body:
            schema = operation["requestBody"]["content"][JSON]["schema"]
        else:
            required = [each["name"] for each in parameters if each.get("required")]
            schema = {"type": "object", "properties": self._parameters, "required": required}
            schema["additionalProperties"] = False
        self._schema = Schema(api.with_components(schema))
        properties: Mapping[str, Any] = api.resolve(schema).get("properties", {})
        self._integers = [name for name, each in properties.items() if api.resolve(each).get("type") == "integer"]

    def read(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the request's parameters, or its body. Raises `ProblemError`."""
        query = _query(event, self._in_path)
        if self._has_body:
            if query:
                raise bad_request([FieldError(shortened(name), "no query", "a value") for name in query])
            values = _body(event)
        else:
            texts = {**query, **{name: [_path_value(event, name)] for name in self._in_path}}
            values = {name: _value(self._parameters.get(name, {}), given) for name, given in texts.items()}
        if errors := self._schema.errors(values):
            raise bad_request(errors)
        # To JSON Schema 10.0 is an integer, and Python takes no slice of so many.
        return {**values, **{name: int(values[name]) for name in self._integers if name in values}}


@lru_cache
def operation(route_key: str) -> Operation:
    """Returns the operation of a route key such as `GET /v1/popular`. Raises `KeyError` if the contract lacks it."""
    return Operation(dict(api.operations())[route_key])


def _query(event: Mapping[str, Any], in_path: list[str]) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(event.get("rawQueryString", ""), keep_blank_values=True, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise bad_request([FieldError("query", "text in UTF-8", "something else")]) from None
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    if wrong := [name for name in in_path if name in query]:
        raise bad_request([FieldError(name, "a value in the path alone", "one in the query") for name in wrong])
    return query


def _path_value(event: Mapping[str, Any], name: str) -> str:
    return unquote((event.get("pathParameters") or {}).get(name, ""))


def _value(schema: Mapping[str, Any], given: list[str]) -> Any:
    """The value that the texts of a parameter stand for; where they stand for none, the texts: the check says why."""
    if schema.get("type") == "array":
        return given
    if len(given) != 1:
        return given
    text = given[0]
    if schema.get("type") == "integer" and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if schema.get("type") == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _body(event: Mapping[str, Any]) -> Any:
    headers = event.get("headers") or {}
    media_type = headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media_type != JSON:
        error = FieldError("content-type", JSON, found(media_type) if media_type else "nothing")
        detail = f"content-type: expected {JSON}, found {error.found}"
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, [error])
    try:
        return msgspec.json.decode(body_bytes(event))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error):
        raise bad_request([FieldError("body", "JSON in UTF-8", "something else")]) from None


def body_bytes(event: Mapping[str, Any]) -> bytes:
    """The body as it was sent. Raises `binascii.Error` or `UnicodeEncodeError`."""
    body = event.get("body") or ""
    return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
