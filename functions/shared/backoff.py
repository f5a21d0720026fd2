"""The waits between two tries of a call that may succeed later."""

import math
import random
import time


class Backoff:
    """Waits that double from `first` to `longest` seconds, with jitter.

    `until` is a moment of `time.monotonic`: no wait ends after it.
    """

    def __init__(self, first: float, longest: float, until: float = math.inf) -> None:
        self._next = first
        self._longest = longest
        self._until = until

    def wait(self) -> bool:
        """Waits before the next try. Returns False, at once, if there is no time left for one."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
        if time.monotonic() + pause >= self._until:
            return False
        time.sleep(pause)
        self._next = min(2 * self._next, self._longest)
        return True
