"""A command that is started before it is wanted: it runs once it gets arguments, and nothing of it stays."""

import os
from pathlib import Path

import pytest

from local.ahead import started_ahead
from tests.emulator.aws import wait_until

COMMAND = """
import sys

print("imported", flush=True)


def main(arguments):
    print("ran with", *arguments)
    return len(arguments)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name, content in (("good", COMMAND), ("broken", "import no_such_module")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__main__.py").write_text(content)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}


def processes(folder: Path) -> list[str]:
    return [
        process.name
        for process in Path("/proc").glob("[0-9]*")
        if process.name != str(os.getpid()) and str(folder).encode() in _environment(process)
    ]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def test_it_imports_at_once_and_runs_with_the_arguments_that_come_later(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")
    with started_ahead("good", log, env=environment, cwd=Path.cwd()) as command:
        wait_until(lambda: "imported" in log.read_text())
        assert "ran" not in log.read_text()
        assert command.run(["--größe", "a b"]) == 2
    assert log.read_bytes()[command.log_begins :].decode() == "imported\nran with --größe a b\n"
    assert processes(tmp_path) == []


def test_one_that_is_not_wanted_does_nothing_and_ends_with_the_context(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "log"
    with started_ahead("good", log, env=environment, cwd=Path.cwd()):
        wait_until(lambda: "imported" in log.read_text())
        assert len(processes(tmp_path)) == 1
    assert processes(tmp_path) == []
    assert "ran" not in log.read_text()


def test_one_that_cannot_be_imported_fails_when_it_is_run_with_the_reason_in_its_log(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "log"
    with started_ahead("broken", log, env=environment, cwd=Path.cwd()) as command:
        wait_until(lambda: "no_such_module" in log.read_text())
        assert command.run(["x"]) == 1
    assert log.read_text().splitlines()[-1].startswith("ModuleNotFoundError: No module named 'no_such_module'")
