"""Starts a Python command before it is wanted: it imports what it needs beside other work, and waits for its arguments.

Training's packages take four seconds to import, and whatever comes before it leaves a core idle.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from emulator.process import running


@dataclass(frozen=True)
class Command:
    """A command that has been started. `log_begins` is the place in its log, in bytes, from which on it writes."""

    run: Callable[[Sequence[str]], int]
    """Runs it with arguments, once, and returns its exit status."""
    log_begins: int


@contextlib.contextmanager
def started_ahead(package: str, log: Path, *, env: Mapping[str, str], cwd: Path) -> Iterator[Command]:
    """Starts `python -m package`, its output in the log. Nothing of it is left when the context ends."""
    begins = log.stat().st_size if log.exists() else 0
    ahead = [sys.executable, "-m", __name__, package]
    with running(ahead, log, env=env, cwd=cwd, stdin=subprocess.PIPE) as process:

        def run(arguments: Sequence[str]) -> int:
            assert process.stdin is not None
            # It may have ended, with its reason in the log.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
                process.stdin.close()
            return process.wait()

        yield Command(run, begins)


def main(package: str) -> int:
    """Runs the package's command with the arguments that come as a line of JSON; without a line it is not wanted."""
    command: Callable[[list[str]], int] = import_module(f"{package}.__main__").main
    line = sys.stdin.readline()
    return command(json.loads(line)) if line else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
