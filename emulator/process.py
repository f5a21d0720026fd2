"""Starts and stops the processes of the local run: each in its own process group, its output in a log file."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emulator.errors import LocalRunError

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0
"""How long a service may take to stop before it is killed."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class ServiceProcess:
    """One background process. `start` returns when `ready` answers true; `stop` is safe to call twice.

    The process leads its own group, so that Ctrl-C at the terminal reaches only the run, which then stops its services
    in order. `as_user` runs it as that system user (PostgreSQL and MariaDB refuse to run as root).
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        command: Sequence[str],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        as_user: str | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts the command and waits for it. Raises `LocalRunError` with the log's end where it does not come up."""
        self._stop_signal = stop_signal
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                user=as_user,
                group=None if as_user is None else primary_group(as_user),
                cwd=cwd,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not ready():
            if self._process.poll() is not None:
                tail = log_tail(self.log)
                raise LocalRunError(
                    f"{self.name} ended at its start (exit {self._process.returncode}); log {self.log}:\n{tail}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise LocalRunError(f"{self.name} not ready in {timeout:.0f} s; log {self.log}:\n{log_tail(self.log)}")
            time.sleep(0.05)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def stop(self) -> None:
        """Asks the process to end, and kills its whole group where it does not within `STOP_SECONDS`."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def primary_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
