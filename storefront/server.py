"""Serves the storefront and the console on this machine until the context ends."""

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from storefront import console, pass_on
from storefront.guard import KEY, Guard
from storefront.stack import Stack

STATIC = Path(__file__).parent / "static"
PAGES = {"/": "shop.html", "/console": "console.html"}
LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0


class PortTakenError(OSError):
    """The port cannot be listened on; the text says which and why."""


def listen(port: int) -> socket.socket:
    """Returns a socket that listens on loopback; 0 takes a free port. Raises `PortTakenError`."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(f"port {port}: {error.strerror}: end what listens there, or give another port") from error
    return listener


def application(stack: Stack, port: int, key: str) -> ASGIApp:
    """Returns the guarded application."""
    token = secrets.token_urlsafe(24)
    pages = [Route(path, _page(STATIC / name, token)) for path, name in PAGES.items()]
    app = Starlette(
        routes=[
            *pages,
            *pass_on.routes(stack.api),
            *console.routes(console.Console(stack)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    )
    return Guard(app, port, key, token)


def _page(path: Path, token: str) -> Callable[[Request], Response]:
    html = path.read_text(encoding="utf-8").replace("{{token}}", token)

    def page(_: Request) -> Response:
        return HTMLResponse(html)

    return page


class Server:
    """A context in which the pages are served, in a thread. `log` takes the server's own errors."""

    def __init__(self, stack: Stack, listener: socket.socket, log: Path) -> None:
        listener.listen()
        port = listener.getsockname()[1]
        key = secrets.token_urlsafe(24)
        self.url = f"http://{LOOPBACK}:{port}/"
        self.address = f"{self.url}?{KEY}={key}"
        """The address that opens the shop, with the key that makes the browser's cookie."""
        self._app = application(stack, port, key)
        self._config = Config()
        self._config.bind = [f"fd://{listener.detach()}"]  # the server closes it
        self._config.errorlog = str(log)
        self._config.accesslog = None  # paths and queries name customers
        self._stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="storefront", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(serve(self._app, self._config, shutdown_trigger=self._stopping.wait))  # type: ignore[arg-type]
        self._loop.close()
