"""A run that is killed by SIGKILL, so that it can clear nothing away: nothing of it goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from emulator.process import left_over
from emulator.program import ROOT
from operations.run_note import RUN_NOTE
from tests.emulator.aws import wait_until

RUN = """
import json, sys, time
from pathlib import Path
from emulator.mariadb import MariaDB
from emulator.ministack import MiniStack
from emulator.postgres import Postgres
from emulator.process import goes_with_the_run
from operations.run_note import RUN_NOTE, noted_run
from tests.emulator.aws import Aws

folder = Path(sys.argv[1])
login = {"user": "master", "password": "pass", "database": "shop"}
ministack = MiniStack(folder / "aws", folder / "ministack.log")
vectors, shop = Postgres(folder / "postgres", **login), MariaDB(folder / "mysql", **login)
for server in (ministack, vectors, shop):
    server.start()
function = Aws(ministack).function("import os\\ndef handler(event, context):\\n    return os.getpid()")
worker = json.loads(ministack.client("lambda").invoke(FunctionName=function)["Payload"].read())
with noted_run(folder, {}, "bucket", "stream"):
    goes_with_the_run(folder / RUN_NOTE)
    places = [str(vectors.folder), str(shop._data.parent)]
    print(json.dumps({"worker": worker, "places": places}), flush=True)
    time.sleep(600)
"""


def processes_of(pid: int) -> set[int]:
    """All that descend from a process, by their parents."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def start_run(folder: Path) -> tuple["subprocess.Popen[str]", set[int], list[Path]]:
    run = subprocess.Popen([sys.executable, "-c", RUN, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    told = json.loads(run.stdout.readline())
    children = processes_of(run.pid)
    assert told["worker"] in children
    return run, children, [Path(place) for place in told["places"]]


def test_everything_that_a_killed_run_started_ends_and_its_key_is_nowhere(run_folder: Path) -> None:
    run, children, places = start_run(run_folder)
    assert len(children) > 5, "MiniStack, its function, two servers with their own processes, the watchdog"
    assert (run_folder / RUN_NOTE).exists()
    run.kill()
    run.wait()
    wait_until(lambda: not any(map(is_alive, children)))
    assert not (run_folder / RUN_NOTE).exists()
    if os.geteuid() == 0:
        assert not any(place.exists() for place in places), "customers' data"


def test_what_even_the_watchdog_could_not_end_is_told_by_the_next_run(run_folder: Path) -> None:
    run, children, _ = start_run(run_folder)
    watchdogs = {pid for pid in children if "watchdog.py" in Path(f"/proc/{pid}/cmdline").read_text()}
    try:
        assert not left_over().keys() & children, "the run is up"
        for pid in watchdogs:
            os.kill(pid, signal.SIGKILL)
        run.kill()
        run.wait()
        told = left_over()
        assert told.keys() & children
        assert any("ministack_server" in command for command in told.values())
    finally:
        for pid in children:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
