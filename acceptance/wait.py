"""Waits until a condition holds."""

import time
from collections.abc import Callable
from typing import TypeVar

from acceptance.target import AcceptanceError

T = TypeVar("T")


def until(ask: Callable[[], T | None], what: str, seconds: float, every: float = 1.0) -> T:
    """Asks until there is an answer, and returns it. Raises `AcceptanceError` after so many seconds without one."""
    end = time.monotonic() + seconds
    while (answer := ask()) is None:
        if time.monotonic() > end:
            raise AcceptanceError(f"{what}: expected within {seconds:.0f} s, it did not come")
        time.sleep(every)
    return answer
