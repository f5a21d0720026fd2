"""The time and the waiting of the delivery stream and the event rules, so that tests need not wait a real minute."""

import threading
import time
from typing import Protocol


class InterruptedWaitError(Exception):
    """A wait was ended because its owner stops."""


class Clock(Protocol):
    def time(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None:
        """Raises `InterruptedWaitError` between `interrupt` and `resume`."""
        ...

    def interrupt(self) -> None: ...

    def resume(self) -> None: ...


class SystemClock:
    """Real time."""

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
