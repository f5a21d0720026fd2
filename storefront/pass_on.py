"""Passes the shop's requests on to the API, signed: the credentials stay in this process."""

import json
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts import api as contract
from operations.api import Answer, ApiError, Client
from storefront.guard import refused


def routes(client: Client) -> list[Route]:
    """Returns a route for each operation of the API's contract, and no other: what it lacks is not asked for."""
    found = []
    for key, _ in contract.operations():
        method, path = key.split(" ", 1)
        # An id may hold a slash.
        found.append(Route(path.replace("{id}", "{id:path}"), _passed_on(client, path), methods=[method]))
    return found


def _passed_on(client: Client, path: str) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        wanted = path.replace("{id}", quote(request.path_params.get("id", ""), safe=""))
        try:
            body = await request.json() if request.method == "POST" else None
        except ValueError:
            return refused(HTTPStatus.BAD_REQUEST, "body: expected JSON in UTF-8, found something else")
        try:
            answer = await run_in_threadpool(client.ask, wanted, request.query_params.multi_items(), body)
        except ApiError as error:
            return refused(HTTPStatus.BAD_GATEWAY, str(error))
        return _response(answer)

    return endpoint


def _response(answer: Answer) -> Response:
    kept = {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
    media_type = answer.headers.get("content-type", "application/json")
    return Response(json.dumps(answer.json), answer.status, kept, media_type)
