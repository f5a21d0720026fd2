"""Shows the progress of a run at the terminal: a line for each stage, with its result and its time."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass
class Stage:
    """A stage in progress. `say` shows its current step, `result` stays on its line."""

    name: str
    _console: Console
    _status: object = None
    result: str = ""
    remark: str = ""
    """A warning, shown on a line of its own."""

    def say(self, text: str) -> None:
        """Shows the current step of the stage."""
        if self._console.is_terminal:
            self._status.update(f"[bold]{self.name}[/] {escape(text)}")  # type: ignore[attr-defined]


@dataclass
class Stages:
    """The stages of a run, in order, each with its seconds."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Runs a stage. It shows a spinner meanwhile, and a line at the end, even after a failure."""
        began = time.monotonic()
        with self.console.status(f"[bold]{name}[/]") as status:
            stage = Stage(name, self.console, status)
            try:
                yield stage
            except BaseException:
                self._line("[red]✗[/]", stage, time.monotonic() - began)
                raise
        self.seconds[name] = time.monotonic() - began
        self._line("[green]✓[/]", stage, self.seconds[name])

    def _line(self, mark: str, stage: Stage, seconds: float) -> None:
        line = f"{mark} {stage.name:<14} {seconds:6.1f} s  {escape(stage.result)}"
        self.console.print(line, highlight=False, soft_wrap=True)
        if stage.remark:
            self.console.print(f"  [yellow]{escape(stage.remark)}[/]", highlight=False, soft_wrap=True)
