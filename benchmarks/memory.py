"""Anonymous memory of this process and of all that descend from it, by what they are."""

import os
from pathlib import Path

FUNCTIONS = ("inference", "transformation", "loader")


def memory_by_part() -> dict[str, float]:
    """Returns megabytes by part: for a function its largest worker, for all else the sum of the processes.

    Anonymous memory (`RssAnon` of /proc/PID/status, proc_pid_status(5)) is what a process has allocated for itself.
    Files, such as libraries and the database's, and shared memory are not in it: how much of these is resident, the
    kernel decides, and the other processes of the machine with it.
    """
    mine, parents = os.getpid(), _parents()
    parts: dict[str, list[float]] = {}
    for pid in parents:
        above, line = pid, []
        while above in parents and above != mine:
            above = parents[above]
            line.append(above)
        if pid != mine and mine not in line:
            continue
        if part := _part(pid, mine):
            parts.setdefault(part, []).append(_megabytes(pid))
    return {part: max(each) if part.startswith("function") else sum(each) for part, each in parts.items()}


def _part(pid: int, mine: int) -> str | None:
    if pid == mine:
        return "(this process: the loops and the count)"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    for name in environment:
        if name.startswith(b"AWS_LAMBDA_FUNCTION_NAME="):
            function = name.split(b"=", 1)[1].decode()
            return next((f"function {part}, a worker" for part in FUNCTIONS if part in function), None)
    if "postgres" in command:
        return "PostgreSQL"
    return "(MiniStack: keeps every record and object)" if "ministack_server" in command else None


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return found


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024
