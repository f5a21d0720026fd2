"""Ends a run that could only wait: its disk is full, or a service that it started is gone."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from emulator.deploy.cloud import Cloud
from emulator.errors import LocalRunError
from local.folder import disk_is_full

WATCH_SECONDS = 2.0


@contextlib.contextmanager
def watched(folder: Path, cloud: Cloud) -> Iterator[None]:
    """Raises `LocalRunError` if the run cannot go on, in place of what the run waits for or fails with.

    Use it inside `running_services`, which turns SIGTERM into an exception.
    """
    found, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            if _problem(folder, cloud):
                found.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        is_ours = found.is_set() or not isinstance(error, KeyboardInterrupt)
        if is_ours and (problem := _problem(folder, cloud)):
            raise LocalRunError(problem) from error
        raise
    finally:
        over.set()


def _problem(folder: Path, cloud: Cloud) -> str | None:
    return f"no space left on the disk of {folder}" if disk_is_full(folder) else cloud.ended
