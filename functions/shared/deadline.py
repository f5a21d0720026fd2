"""How much of an invocation's time is left."""

import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Deadline:
    """`at` is a moment of `time.monotonic`: no change of the wall clock moves it."""

    at: float

    @classmethod
    def of(cls, context: Any, margin: float) -> "Deadline":
        """The end of the invocation, less a margin in seconds."""
        return cls(time.monotonic() + context.get_remaining_time_in_millis() / 1000 - margin)

    def left(self) -> float:
        """Seconds, at least a little, so that a time-out made of them is never "none"."""
        return max(0.1, self.at - time.monotonic())
