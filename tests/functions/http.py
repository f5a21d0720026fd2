"""The functions behind API Gateway, called as it calls them; every answer is held against the contract."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from contracts import api
from functions.recommendation_api import handler as recommendation_api
from functions.shared.http.checks import Schema
from tests.functions.lambdas import Context

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    json: Any

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.json["items"]]


def call(
    handler: Handler, method: str, path: str, query: Any = (), body: Any = None, seconds: float = 15.0, **changes: Any
) -> Answered:
    """Sends a request by the route that API Gateway would choose; `changes` are keys of the event."""
    route, parameters = _route(method, path)
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query if isinstance(query, str) else urlencode(list(query)),
        "headers": {"content-type": "application/json"} if body is not None else {},
        "pathParameters": parameters,
        "isBase64Encoded": False,
        **({"body": body if isinstance(body, str) else json.dumps(body)} if body is not None else {}),
        **changes,
    }
    response = json.loads(json.dumps(handler(event, Context(seconds))))
    content = json.loads(response["body"])
    _check(route, response, content)
    return Answered(response["statusCode"], response["headers"], content)


def get(path: str, *query: tuple[str, Any], **changes: Any) -> Answered:
    """Asks the recommendation API."""
    return call(recommendation_api.handler, "GET", path, query, **changes)


def post(body: Any, **changes: Any) -> Answered:
    """Asks the recommendation API for recommendations."""
    return call(recommendation_api.handler, "POST", "/v1/recommendations", body=body, **changes)


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    for key, _ in api.operations():
        verb, template = key.split(" ")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        if verb == method and (match := re.fullmatch(pattern, path)):
            return key, match.groupdict()
    raise AssertionError(f"no route for {method} {path}: API Gateway would answer with 404")


def _check(route: str, response: dict[str, Any], content: Any) -> None:
    responses = dict(api.operations())[route]["responses"]
    status, media_type = str(response["statusCode"]), response["headers"]["content-type"]
    assert status in responses, f"{route} answers {status}, which the contract does not have: {content}"
    schema = api.resolve(responses[status])["content"][media_type]["schema"]
    assert Schema(api.with_components(schema)).errors(content) == []
