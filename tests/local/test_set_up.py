"""`make` on machines that lack something, played by small stand-ins for Python, df and apt-get."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHON = """#!/bin/sh
case "$*" in
--version) echo "Python {version}" ;;
*"version_info < (3, 11)"*) exit {too_old} ;;
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
*"pip install"*) echo "$TMPDIR" >> .pip-runs; [ -d "$TMPDIR" ] && [ ! -e pip-fails ] ;;
esac
"""
"""A Python that knows its version, and what a set-up asks of it."""


@dataclass
class Machine:
    """A checkout in a folder of an awkward name, on a machine whose programs are stand-ins."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkout = self.folder / "Läufe 1" / "checkout"
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        for path in [*ROOT.glob("requirements*.txt"), ROOT / "Makefile", ROOT / "functions" / "constraints.txt"]:
            target = self.checkout / path.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        (self.checkout / "scripts" / "system-packages.txt").write_text("")
        self.has_python("python3", "3.13.5")
        self.has("df", "#!/bin/sh\necho Filesystem\necho '/dev/disk 90000000 30000000 60000000 33% /'\n")
        self.has("apt-get", '#!/bin/sh\necho "$@" >> "$(dirname "$0")/apt-runs"\n')

    def has(self, program: str, text: str) -> Path:
        path = self.programs / program
        path.write_text(text)
        path.chmod(0o755)
        return path

    def has_python(self, program: str, version: str) -> Path:
        too_old = int(tuple(map(int, version.split(".")[:2])) < (3, 11))
        return self.has(program, PYTHON.format(version=version, too_old=too_old))

    def make(self, target: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", "--no-print-directory", target, *arguments],
            cwd=self.checkout,
            env={"PATH": f"{self.programs}:{os.environ['PATH']}", **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def pip_runs(self) -> list[str]:
        """The temporary folder of each time that pip installed."""
        path = self.checkout / ".pip-runs"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_each_set_of_packages_is_installed_once_and_again_when_it_changes(machine: Machine) -> None:
    first = machine.make("setup-local")
    assert first.returncode == 0, first.stderr
    assert "6.3 GB" in first.stdout
    assert machine.make("setup-local").returncode == 0
    assert len(machine.pip_runs) == 1
    for _ in range(2):
        assert machine.make("setup-test").returncode == 0
        assert machine.make("setup-local").returncode == 0
    assert len(machine.pip_runs) == 2
    with (machine.checkout / "requirements-local.txt").open("a") as requirements:
        requirements.write("another-package\n")
    for target in ("setup-test", "setup-local", "setup-test"):
        assert machine.make(target).returncode == 0
    assert len(machine.pip_runs) == 3


def test_pips_temporary_files_lie_in_the_checkout_and_go(machine: Machine) -> None:
    machine.make("setup-local")
    assert machine.pip_runs == [str(machine.venv / "tmp")]
    assert not (machine.venv / "tmp").exists()


def test_too_little_space_is_named_with_both_figures_before_anything_is_installed(machine: Machine) -> None:
    machine.has("df", "#!/bin/sh\necho Filesystem\necho '/dev/my disk 30000000 25000000 4096000 83% /my disk'\n")
    done = machine.make("setup-local")
    assert done.returncode != 0
    assert "needs 14000 MB" in done.stderr
    assert "4000 MB are free" in done.stderr
    assert not machine.venv.exists()
    assert not (machine.programs / "apt-runs").exists()


def test_without_cuda_less_space_is_asked_for(machine: Machine) -> None:
    machine.has("df", "#!/bin/sh\necho Filesystem\necho '/dev/disk 30000000 23000000 6096000 83% /'\n")
    assert machine.make("setup-local").returncode != 0
    machine.environment["PIP_EXTRA_INDEX_URL"] = "https://wheels.example/whl/cpu"
    assert machine.make("setup-local").returncode == 0


def test_a_python_that_is_too_old_is_named_and_nothing_is_done(machine: Machine) -> None:
    machine.has_python("python3", "3.10.12")
    done = machine.make("setup-local")
    assert done.returncode != 0
    assert "python3 is Python 3.10.12; Python 3.11 or newer is needed" in done.stderr
    assert "PYTHON=python3.12" in done.stderr
    assert not machine.venv.exists()
    assert not (machine.programs / "apt-runs").exists()


def test_the_python_that_is_named_is_the_one_that_is_checked(machine: Machine) -> None:
    other = machine.has_python("other python", "3.10.12")
    done = machine.make("setup-local", f"PYTHON={other}")
    assert f"{other} is Python 3.10.12" in done.stderr
    machine.has_python("python3", "3.10.12")
    other = machine.has_python("other python", "3.12.3")
    assert machine.make("setup-local", f"PYTHON={other}").returncode == 0


@pytest.mark.parametrize("state", ["too old", "gone", "unfinished"])
def test_a_venv_that_cannot_be_used_is_made_anew(machine: Machine, state: str) -> None:
    assert machine.make("setup-local").returncode == 0
    python = machine.venv / "bin" / "python"
    if state == "too old":
        python.write_text(PYTHON.format(version="3.10.12", too_old=1))
    elif state == "gone":
        python.unlink()
        python.symlink_to("/nowhere/python3")
    else:
        (machine.venv / "unfinished").touch()
    done = machine.make("setup-local")
    assert done.returncode == 0, done.stderr
    assert "making .venv anew" in done.stdout
    assert "3.13.5" in python.read_text()
    assert len(machine.pip_runs) == 2


def test_a_set_up_that_fails_leaves_no_venv_and_says_so_last(machine: Machine) -> None:
    (machine.checkout / "pip-fails").touch()
    done = machine.make("setup-local")
    assert done.returncode != 0
    assert "nothing of .venv is left" in done.stderr
    assert not machine.venv.exists()


def test_a_venv_that_worked_survives_a_set_up_that_fails_and_is_repaired_by_the_next(machine: Machine) -> None:
    machine.make("setup-local")
    (machine.checkout / "pip-fails").touch()
    assert machine.make("setup-test").returncode != 0
    assert machine.venv.exists()
    (machine.checkout / "pip-fails").unlink()
    assert machine.make("setup-test").returncode == 0
    assert len(machine.pip_runs) == 3
