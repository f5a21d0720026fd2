"""A thread that polls a source and works on its records, round after round. It can be drained, and stopped."""

import contextlib
import threading
from collections import deque

from emulator.clock import Clock, InterruptedWaitError
from emulator.errors import LocalRunError
from emulator.process import STOP_SECONDS

POLL_SECONDS = 0.2
"""Seconds between two rounds of an idle source; Firehose and Lambda read a shard once a second."""

FLUSH_SECONDS = 60.0


class PollLoop:
    """The common part of the delivery stream and the event source mapping. `problems` holds the last errors as text.

    One round is made at a time, by the thread or by the caller of `flush`.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.problems: deque[str] = deque(maxlen=20)
        self._name = name
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._crash: Exception | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Starts reading where an earlier run had delivered. Raises `LocalRunError` if a role may not."""
        self._crash = None
        self._open()
        self._stopping.clear()
        self._clock.resume()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, drain: bool = True) -> None:
        """Ends the loop. With `drain`, all records are worked off first; without it, a later start reads them again."""
        try:
            if drain and self._thread is not None:
                self.flush()
        finally:
            self._stopping.set()
            self._clock.interrupt()
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.join(STOP_SECONDS)

    def flush(self, timeout: float = FLUSH_SECONDS) -> None:
        """Works off all records now, as the end of every interval would.

        Raises `LocalRunError` with the last problems if that takes more than `timeout` seconds.
        """
        deadline = self._clock.monotonic() + timeout
        with self._lock:
            self._look_everywhere()
            while self._crash or not self._is_drained():
                if self._crash or self._clock.monotonic() > deadline:
                    problems = "; ".join(self.problems) or "no error was seen"
                    raise LocalRunError(
                        f"{self._name}: {self._pending()} records not done within {timeout:.0f} s: {problems}"
                    ) from self._crash
                if not self._round(force=True):
                    self._clock.sleep(POLL_SECONDS)

    def _open(self) -> None:
        """Makes ready for reading, and drops the records that an earlier run had in hand."""
        raise NotImplementedError

    def _round(self, force: bool) -> bool:
        """Reads, and works off the records that are due, or all with `force`. Returns True if anything moved."""
        raise NotImplementedError

    def _is_drained(self) -> bool:
        """Returns True if no record is in hand, and a read just now found none."""
        raise NotImplementedError

    def _look_everywhere(self) -> None:
        """Makes the next read search all of the source."""
        raise NotImplementedError

    def _pending(self) -> int:
        """Returns the number of records in hand."""
        raise NotImplementedError

    def _run(self) -> None:
        with contextlib.suppress(InterruptedWaitError):
            while not self._stopping.is_set():
                try:
                    with self._lock:
                        moved = self._round(force=False)
                except InterruptedWaitError:
                    raise
                except Exception as error:
                    # This is a defect of the local run. If it went on, records in hand could be skipped.
                    self._crash = error
                    self._problem(f"the loop broke: {error!r}")
                    return
                if not moved:
                    self._stopping.wait(POLL_SECONDS)

    def _problem(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self.problems.remove(text)  # a repeated problem is listed once, as the last
        self.problems.append(text)
