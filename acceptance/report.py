"""The report of an acceptance run: each step's result and time, and the run's cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from acceptance.target import AcceptanceError


@dataclass
class Report:
    """Runs steps and prints a line for each. A failed step is printed too, and its error is raised."""

    say: Callable[[str], None] = print
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def step(self, name: str, do: Callable[[], str]) -> None:
        """Runs one step. Raises the step's errors."""
        began = time.monotonic()
        try:
            result = do()
        except BaseException as error:
            self.failed.append(name)
            self.say(f"✗ {name:<16}{time.monotonic() - began:8.1f} s  {_first_line(error)}")
            raise
        self.passed.append(name)
        self.say(f"✓ {name:<16}{time.monotonic() - began:8.1f} s  {result}")


def _first_line(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, AcceptanceError) else f"{type(error).__name__}: {text}"
