"""API Gateway's limit of a stage's requests: a bucket of tokens for each stage of an HTTP API.

A request takes a token; `throttlingRateLimit` tokens come each second, and at most `throttlingBurstLimit` lie there
(API Gateway Developer Guide, "Throttling requests to your HTTP API"). AWS calls its limits targets; these are exact.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Response = tuple[int, dict[str, str], bytes]


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Throttle:
    """The buckets of all stages. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def refusal(self, api: str, stage: str, settings: Mapping[str, Any]) -> Response | None:
        """Returns the answer to a request beyond the limits in the stage's `defaultRouteSettings`; `None`: it may
        pass."""
        rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
        if rate is None or burst is None:
            return None
        now = self._clock()
        bucket = self._buckets.setdefault((api, stage), _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + rate * (now - bucket.filled_at))
        bucket.filled_at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        body = json.dumps({"message": "Too Many Requests"}).encode()
        return HTTPStatus.TOO_MANY_REQUESTS, {"Content-Type": "application/json"}, body
