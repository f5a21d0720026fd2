"""Ends the processes of a run, and removes files that must not stay, when the run is gone, even by kill -9.

It is a process of its own and reads orders from its standard input, whose other end the run holds: the end of the input
is the end of the run. (`PR_SET_PDEATHSIG` is no alternative: it fires when the *thread* that started a process ends, is
lost if a process changes its user, and does not reach grandchildren.)

    group N       a process group that must end with the run       ended N       it has ended
    path P        a file or folder that must go with the run       gone P        it has gone
"""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path


def main(orders: Iterable[str]) -> None:
    groups: dict[int, None] = {}
    paths: dict[str, None] = {}
    for order in orders:
        what, _, value = order.rstrip("\n").partition(" ")
        if what == "group":
            groups[int(value)] = None
        elif what == "ended":
            groups.pop(int(value), None)
        elif what == "path":
            paths[value] = None
        elif what == "gone":
            paths.pop(value, None)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    # Files first: they hold keys, and a database takes a while to remove.
    for path in sorted(map(Path, paths), key=Path.is_dir):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.stdin)
