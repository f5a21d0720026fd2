"""The command: `python -m tests.fuzz [HANDLER…] [--seconds 300]`; the exit status is 1 where a handler broke."""

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
import traceback
from pathlib import Path

from tests import fuzz

SUPPORT = {"__main__", "calls", "services", "test_handlers"}
HANDLERS = sorted({module.name for module in pkgutil.iter_modules(fuzz.__path__)} - SUPPORT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("handlers", nargs="*", metavar="HANDLER", help=f"{', '.join(HANDLERS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=300.0, help="for each handler (default: %(default)s)")
    chosen = parser.parse_args()
    if unknown := set(chosen.handlers) - set(HANDLERS):
        parser.error(f"expected {', '.join(HANDLERS)}, found {', '.join(sorted(unknown))}")
    # The handlers' log, a line a call. Their loggers keep the standard output that there is when they are imported.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return max([_fuzz(handler, chosen.seconds) for handler in chosen.handlers or HANDLERS])


def _fuzz(handler: str, seconds: float) -> int:
    try:
        calls = importlib.import_module(f"tests.fuzz.{handler}").run(seconds)
    except Exception:
        traceback.print_exc()
        print(f"{handler}: broke; the falsifying example is above", file=sys.stderr)
        return 1
    print(f"{handler}: {calls} calls in {seconds:.0f} s, none broke it", file=sys.__stdout__, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
