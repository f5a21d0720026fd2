"""Remembers for a few seconds what S3 has told of the job's paths, for Hadoop asks for each of them several times."""

import threading
import time
from typing import Any

LOOK_SECONDS = 5.0
"""The seconds in which an answer counts, unless the job itself writes there: nobody else writes to a data lake while
its job runs."""
_NEVER = float("-inf")


class Looks:
    """Paths are `bucket/key`. It may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._absent: dict[str, float] = {}
        """Path → the moment at which nothing was there, nor below it."""
        self._changed: set[str] = set()
        """The paths that were written or deleted, with their folders."""
        self._changes = 0
        self._below: tuple[float, str, list[Any]] = (_NEVER, "", [])
        """The last complete listing: its moment, the folder, and S3's entries."""

    def was_absent(self, path: str) -> bool:
        """Returns True if nothing was at the path, or below one of its folders, a moment ago."""
        names, now = path.split("/"), time.monotonic()
        with self._lock:
            moments = (self._absent.get("/".join(names[:n]), _NEVER) for n in range(2, len(names) + 1))
            return any(now - moment < LOOK_SECONDS for moment in moments)

    def is_absent(self, path: str) -> None:
        """Notes that S3 has nothing at a path, nor below it."""
        with self._lock:
            if path not in self._changed:
                self._absent[path] = time.monotonic()

    def entries_below(self, path: str) -> tuple[list[Any] | None, int]:
        """Returns S3's entries of all objects below a folder, `None` if they are not known; and the number of changes
        so far."""
        with self._lock:
            moment, folder, entries = self._below
            is_known = time.monotonic() - moment < LOOK_SECONDS and f"{path}/".startswith(f"{folder}/")
            key = path.partition("/")[2]
            prefix = f"{key}/" if key else ""
            return (
                [entry for entry in entries if entry["Key"].startswith(prefix)] if is_known else None
            ), self._changes

    def are_below(self, path: str, entries: list[Any], changes: int) -> None:
        """Notes all entries below a folder, unless something has changed since they were asked for."""
        with self._lock:
            if changes == self._changes:
                self._below = (time.monotonic(), path, entries)

    def changed(self, path: str) -> None:
        """Forgets what is known of a path and of its folders. To be called after the change."""
        with self._lock:
            self._changes += 1
            self._below = (_NEVER, "", [])
            while "/" in path:
                self._changed.add(path)
                self._absent.pop(path, None)
                path = path.rsplit("/", 1)[0]
