"""The console's data and its one action: everything that it shows comes from the code of `operations` and from logs."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from operations.versions import VersionError
from storefront import measurements
from storefront.guard import refused
from storefront.last_records import LastRecords
from storefront.stack import Stack
from storefront.versions import Versions

DATA, ACTIVATE = "/console/data", "/console/activate"
FRESH_SECONDS = 1.0
"""Seconds for which two open consoles share one look at logs and records."""

_ERRORS = (VersionError, ClientError, BotoCoreError)


class Console:
    """The state of the console of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._logs = stack.client("logs")
        self._records = LastRecords(stack.client("s3"), stack.recommendations_bucket)
        self.versions = Versions(stack.client("lambda"), stack.loader, stack.client("s3"), stack.artifacts_bucket)
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._seen: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """Returns what the console shows. A part that cannot be read is missing, and `problems` says why."""
        problems: list[str] = []
        traffic = self._part("traffic", self._traffic, problems)
        loaded = self._part("versions", self.versions.document, problems)
        return {"traffic": traffic, "versions": loaded, "problems": problems}

    def _traffic(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() > self._looked_at + FRESH_SECONDS:
                window = measurements.read(self._logs, self._stack.log_groups)
                self._records.look()
                reasons = window.failures() + self._records.reasons()
                self._seen = {
                    **window.document(),
                    "failures": [{"reason": reason, "count": count} for reason, count in reasons.most_common()],
                    "failed": self._records.failed,
                    "last_records": self._records.records(),
                }
                self._looked_at = time.monotonic()
            return self._seen

    def _part(self, name: str, read: Callable[[], dict[str, Any]], problems: list[str]) -> dict[str, Any] | None:
        try:
            return read()
        except _ERRORS as error:
            problems.append(f"{name}: {error}")
            return None


def routes(console: Console) -> list[Route]:
    """Returns the routes of the data and of the switch to another version."""

    def data(_: Request) -> Response:
        return JSONResponse(console.document())

    async def activate(request: Request) -> Response:
        try:
            version = (await request.json())["version"]
        except (ValueError, TypeError, KeyError):
            return refused(HTTPStatus.BAD_REQUEST, 'body: expected {"version": "…"}, found something else')
        try:
            await run_in_threadpool(console.versions.activate, str(version))
        except _ERRORS as error:
            return refused(HTTPStatus.CONFLICT, str(error))
        return JSONResponse({"active": version})

    return [Route(DATA, data), Route(ACTIVATE, activate, methods=["POST"])]
