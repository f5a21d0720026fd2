"""Answers of a function behind API Gateway: payload format 2.0, JSON, and problem details for every error."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from functions.shared.http.problems import ProblemError
from functions.shared.http.requests import JSON, operation

Work = Mapping[str, Callable[[dict[str, Any]], Any]]
"""Operation id → what answers it: a checked request in, the JSON of the answer out. It may raise `ProblemError`."""


def answer(event: Mapping[str, Any], work: Work) -> tuple[str, dict[str, Any]]:
    """Returns the operation's id and the response to API Gateway.

    API Gateway has chosen the operation already: only routes of the contract reach the function, and the event names
    the one that matched. Raises what the work raises beside `ProblemError`: then API Gateway answers with 500, and the
    function's error is counted.
    """
    asked = operation(event["routeKey"])
    try:
        return asked.id, _response(200, JSON, work[asked.id](asked.read(event)), {})
    except ProblemError as problem:
        headers = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
        return asked.id, _response(problem.status.value, "application/problem+json", problem.document(), headers)


def _response(status: int, media_type: str, content: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    # What is recommended changes with every click, and depends on who asks.
    own = {"content-type": media_type, "cache-control": "no-store"}
    return {"statusCode": status, "headers": {**own, **headers}, "body": msgspec.json.encode(content).decode()}
