"""The acceptance run: up, every step, and destroy, which follows a failure too."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from acceptance import steps
from acceptance.report import Report
from acceptance.target import Target

ROOT = Path(__file__).resolve().parent.parent
HOURS_A_MONTH = 730


class Stack(Protocol):
    """The interface of a stack that comes up and is destroyed."""

    def up(self) -> str: ...
    def destroy(self) -> str: ...


def run(
    stack: Stack,
    target_of: Callable[[], Target],
    report: Report,
    todo: Sequence[tuple[str, Callable[[steps.Run], str]]] = steps.STEPS,
) -> bool:
    """Returns True if everything passed, the destroy too. `target_of` is called when the stack is up."""
    began = time.monotonic()
    runs: list[steps.Run] = []

    def look() -> str:
        runs.append(steps.started(target_of()))
        return f"{len(runs[0].target.outputs)} outputs, {len(runs[0].target.functions)} functions"

    try:
        report.step("up", stack.up)
        report.step("outputs", look)
        for name, step in todo:
            report.step(name, partial(step, runs[0]))
    except Exception:
        report.say("a step failed: what was made is destroyed now")
    finally:
        # Ctrl-C arrives here too, and is raised again when all is destroyed.
        _destroy(stack, report)
        report.say(_cost(time.monotonic() - began, sum(one.events for one in runs)))
    return not report.failed


def _destroy(stack: Stack, report: Report) -> None:
    try:
        report.step("destroy", stack.destroy)
    except Exception as error:
        report.say(f"NOT DESTROYED, and paid for until it is: {error}")


def _cost(seconds: float, events: int) -> str:
    """Estimates the cost by list prices: idle for the time that it was up, the events, and two runs of the Glue job."""
    command = [sys.executable, "-m", "local", "cost", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"cost: not computed: {done.stderr.strip()}"
    prices = json.loads(done.stdout)
    hours = max(1.0, seconds / 3600)  # Kinesis charges for started hours
    dollars = prices["idle"] / HOURS_A_MONTH * hours + prices["events"] * events / 1e6 + prices["batch"]
    return f"cost: about ${dollars:.2f} by list prices, for {seconds / 60:.0f} minutes and {events:,} events"
