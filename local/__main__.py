"""The command line. `python -m local` runs the whole system on this machine; it has further commands."""

import contextlib
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from contracts.dataset_file import DatasetError
from emulator import requirements
from emulator.errors import LocalRunError
from emulator.process import left_over
from local import clean, folder, options, source

COMMANDS = {
    "api": "local.api_page",
    "check": "local.check.command",
    "clean": "local.clean",
    "cost": "local.cost.command",
    "graph": "local.graph.command",
    "send": "local.send",
}
"""Command → module. A module is imported when its command is called, since Pulumi's AWS package takes seconds."""
SHOP = "shop"
"""The command of a run for visitors; without a command it is the demo."""

Run = Callable[[options.Options, Path, Console], int]


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns the exit status.

    For the run: 0 if every event came back, 1 if not, 2 if it cannot start, 130 on Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    console = Console(highlight=False)
    try:
        if arguments[:1] and arguments[0] in COMMANDS:
            command: Callable[[list[str]], int] = import_module(COMMANDS[arguments[0]]).main
            return command(arguments[1:])
        is_shop = arguments[:1] == [SHOP]
        asked = options.read_shop(arguments[1:]) if is_shop else options.read(arguments)
        if missing := requirements.missing():
            raise LocalRunError(missing)
        source.check_given(asked.source, asked.ratings, asked.spec)
        with folder.claimed(asked.folder) as place:
            if earlier := clean.earlier_runs():
                console.print(f"{clean.describe(earlier)}; `python -m local clean` removes them", soft_wrap=True)
            for pid, line in sorted(left_over().items()):
                told = f"left running by a run that was killed: process {pid}, {line}: end it by `kill {pid}`"
                console.print(escape(told), soft_wrap=True)
            run: Run = import_module("local.storefront" if is_shop else "local.demo").run
            return _run(run, asked, place, console)
    except (LocalRunError, DatasetError) as error:
        console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def _run(run: Run, asked: options.Options, place: Path, console: Console) -> int:
    try:
        return run(asked, place, console)
    except KeyboardInterrupt:
        console.print(f"stopped; logs in {place}")
        return 130
    except (LocalRunError, DatasetError) as error:
        told, where = str(error), f"logs in {place}"
    except Exception:
        told = traceback.format_exc().strip().splitlines()[-1]
        where = f"logs in {place}"
        with contextlib.suppress(OSError):
            (place / "error.log").write_text(traceback.format_exc())
            where = f"its traceback is {place / 'error.log'}, logs are beside it"
    if folder.disk_is_full(place) and "no space left" not in told:
        told = f"no space left on the disk of {place}: {told.splitlines()[0]}"
    console.print(f"[red]error[/] {escape(told)}\n{escape(where)}", soft_wrap=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
