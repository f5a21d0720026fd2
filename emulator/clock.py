"""Time and waits of the delivery stream and the event rules. Tests replace the clock, so that they need not wait."""

import threading
import time
from typing import Protocol


class InterruptedWaitError(Exception):
    """The wait was ended because its owner stops."""


class Clock(Protocol):
    def time(self) -> float:
        """Returns the seconds since 1970."""
        ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None:
        """Raises `InterruptedWaitError` between `interrupt` and `resume`."""
        ...

    def interrupt(self) -> None: ...

    def resume(self) -> None: ...


def backoff(attempt: int, first: float, longest: float) -> float:
    """Returns the seconds to wait after a failed attempt (1, 2, …): `first`, doubled each time, at most `longest`."""
    return float(min(first * 2 ** min(attempt - 1, 30), longest))


class SystemClock:
    """The system's own clock."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._interrupted.wait(seconds):
            raise InterruptedWaitError

    def interrupt(self) -> None:
        self._interrupted.set()

    def resume(self) -> None:
        self._interrupted.clear()
