"""The time that is left of a Lambda invocation."""

import math
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Deadline:
    """`at` is a moment of `time.monotonic`, which does not change with the wall clock."""

    at: float

    @classmethod
    def of(cls, context: Any, margin: float, at_most: float = math.inf) -> "Deadline":
        """Returns the end of the invocation, less a margin in seconds, or `at_most` so many seconds from now."""
        left = context.get_remaining_time_in_millis() / 1000 - margin
        return cls(time.monotonic() + min(left, at_most))

    def left(self) -> float:
        """Returns the seconds left, at least 0.1: a timeout of 0 would mean "no timeout"."""
        return max(0.1, self.at - time.monotonic())
