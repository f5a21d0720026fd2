"""Starts and stops the processes of the local run: each in its own process group, its output in a log file.

All of them end with the run, however it ends: a watchdog ends them (`emulator/watchdog.py`).
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from emulator import watchdog
from emulator.errors import LocalRunError

LOOPBACK = "127.0.0.1"
RUN_VARIABLE = "RECOMMENDER_RUN"
"""An environment variable of every service: the process that started it, and the time at which that began."""
STOP_SECONDS = 10.0
"""Seconds that a service may take to stop before it is killed."""


def free_port() -> int:
    """Returns a TCP port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def log_tail(log: Path, lines: int = 12) -> str:
    """Returns the last lines of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class _Watchdog:
    """The watchdog process, which outlives this one for a moment. Its first order starts it; each process has one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._of = 0

    def tell(self, order: str) -> None:
        with self._lock:
            if self._process is None or self._of != os.getpid():
                self._process, self._of = self._start(), os.getpid()
            assert self._process.stdin is not None
            # It may have been killed: then nobody ends the services that this process leaves.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{order}\n")
                self._process.stdin.flush()

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-I", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C at the terminal must not reach it.
            start_new_session=True,
        )


_watchdog = _Watchdog()


def run_to_end(
    command: Sequence[str], log: Path, *, env: Mapping[str, str], cwd: Path, timeout: float | None = None
) -> int:
    """Runs a process and all that it starts, its output in the log, and returns its exit status.

    Raises `subprocess.TimeoutExpired`. Nothing of it is left running, neither after a time-out nor when this process
    ends.
    """
    with running(command, log, env=env, cwd=cwd) as process:
        return process.wait(timeout)


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, env: Mapping[str, str], cwd: Path, stdin: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts a process, its output in the log. Nothing of it is left running when the context ends, nor when this
    process ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    _watchdog.tell(f"group {process.pid}")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _watchdog.tell(f"ended {process.pid}")


def goes_with_the_run(path: Path) -> None:
    """Makes the watchdog remove a file or a folder if this process ends first."""
    _watchdog.tell(f"path {path.absolute()}")


def has_gone(path: Path) -> None:
    """Undoes `goes_with_the_run`."""
    _watchdog.tell(f"gone {path.absolute()}")


def left_over() -> dict[int, str]:
    """Returns services of earlier runs whose watchdog was killed too: process id → command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            names = [entry.split(b"=")[1].decode() for entry in environment if entry.startswith(RUN_VARIABLE.encode())]
            if names and names[0] != _run_of(names[0].partition("-")[0]):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found[int(folder.name)] = command[:100]
    return found


def _this_run() -> str:
    return _run_of(str(os.getpid()))


def _run_of(pid: str) -> str:
    """Returns a process id with the time at which the process began, so that a reused id is recognised."""
    try:
        return f"{pid}-{Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[19]}"
    except OSError:
        return f"{pid}-"  # The process is gone, or the system has no /proc.


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
        """Starts the command and waits for it. Raises `LocalRunError` with the log's end if it does not become
        ready."""
        self._stop_signal = stop_signal
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**(os.environ if env is None else env), RUN_VARIABLE: _this_run()},
                user=as_user,
                group=None if as_user is None else primary_group(as_user),
                extra_groups=None if as_user is None else [],
                cwd=cwd,
                start_new_session=True,
            )
        _watchdog.tell(f"group {self._process.pid}")
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
    def ended(self) -> str | None:
        """Returns a message about a process that ended before it was stopped, or None."""
        process = self._process
        if process is None or process.poll() is None:
            return None
        return f"{self.name} has ended by itself (exit {process.returncode}); its log: {self.log}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def stop(self) -> None:
        """Asks the process to end, and kills its whole group after `STOP_SECONDS`."""
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
        _watchdog.tell(f"ended {process.pid}")


def primary_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
