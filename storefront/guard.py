"""Guards the pages' server: who may ask, from where, and what a browser may do with the answers.

The server listens on loopback, where every user of the machine and every web page in a browser can reach it:

* a page elsewhere whose name suddenly leads to 127.0.0.1 (DNS rebinding) sends its own name as the Host: refused;
* another user of the machine does not have the key, which only the printed address holds; it becomes a cookie;
* a page elsewhere that posts here (cross-site request forgery) has another origin and no token: refused. See the OWASP
  Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch Metadata headers" and "Token-Based Mitigation".
"""

import secrets
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost")
KEY, TOKEN_HEADER = "key", "x-csrf-token"
MAX_BODY = 1_000_000
"""The most bytes of a request's body: a visit of 1,000 items, which is the most that an event holds, has 100 kB."""

HEADERS = {
    # Everything comes from this server; nothing is inline, framed, or sent elsewhere.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware around the whole application. `key` opens the pages, `token` is what they post with."""

    def __init__(self, app: ASGIApp, port: int, key: str, token: str) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in NAMES}
        self._cookie = f"storefront-{port}"  # browsers keep one set of cookies for all ports of a host
        self._key = key
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers) or self._admission(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return refused(
                HTTPStatus.MISDIRECTED_REQUEST, f"Host: expected {sorted(self._hosts)[0]}, found {host[:100]}"
            )
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin != f"http://{host}" or site != "same-origin":
            return refused(HTTPStatus.FORBIDDEN, "Origin: expected a page of this server, found another origin or none")
        if not secrets.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return refused(HTTPStatus.FORBIDDEN, f"{TOKEN_HEADER}: expected the page's token: load the page again")
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body: expected at most {MAX_BODY} bytes, declared")
        return None

    def _admission(self, scope: Scope) -> Response | None:
        """Returns nothing for who has the cookie, the cookie for who brings the key, and a refusal for others."""
        request = Request(scope)
        if self._is_key(request.cookies.get(self._cookie, "")):
            return None
        if not self._is_key(request.query_params.get(KEY, "")):
            return refused(
                HTTPStatus.UNAUTHORIZED, "key: expected the whole address that `make shop` printed, found none"
            )
        # Without the key in it, so that the address bar and the history do not show it.
        answer = RedirectResponse("/" + scope["path"].lstrip("/"), HTTPStatus.SEE_OTHER)
        answer.set_cookie(self._cookie, self._key, httponly=True, samesite="strict")
        return answer

    def _is_key(self, value: str) -> bool:
        return secrets.compare_digest(value.encode(), self._key.encode())


def refused(status: HTTPStatus, detail: str) -> JSONResponse:
    """Returns an error in the form of the API's own problem details (RFC 9457)."""
    document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(document, status, media_type="application/problem+json")
