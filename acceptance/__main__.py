"""The command: `python -m acceptance` tries the whole system in a real account, and leaves nothing behind."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import boto3

from acceptance.report import Report
from acceptance.run import run
from acceptance.stack import ROOT, EphemeralStack, missing, new_name
from acceptance.target import Target

KEPT = ROOT / ".acceptance"
"""The folder of all runs; a stack's state and logs lie in a folder of its name."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 if everything passed and is destroyed, 1 if not, 2 if the run cannot start."""
    parser = argparse.ArgumentParser(prog="python -m acceptance", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("--yes", action="store_true", help="do not ask: an hour of a small stack is paid for")
    parser.add_argument("--destroy", metavar="STACK", help="only destroy what an earlier run left")
    options = parser.parse_args(arguments)
    if lacking := missing():
        print(lacking, file=sys.stderr)
        return 2
    session = boto3.Session()
    region, account = str(session.region_name), session.client("sts").get_caller_identity()["Account"]
    if options.destroy and not (KEPT / options.destroy).is_dir():
        print(f"--destroy {options.destroy}: expected a folder of it in {KEPT}, found none", file=sys.stderr)
        return 2
    if not options.yes and input(f"Make and destroy a stack in account {account}, {region}? [y/N] ") != "y":
        return 2
    # A run that is ended from outside destroys what it made, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    name = options.destroy or new_name()
    stack = EphemeralStack(KEPT / name, name, region)
    if options.destroy:
        print(stack.destroy())
        return 0
    print(f"stack {name} in account {account}, {region}; logs and state in {KEPT / name}")
    passed = run(stack, lambda: _target(stack, KEPT / name), Report())
    return 0 if passed else 1


def _target(stack: EphemeralStack, folder: Path) -> Target:
    return Target(stack.outputs(), stack.functions(), boto3.client, os.environ, ROOT / "dataset.toml", folder)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
