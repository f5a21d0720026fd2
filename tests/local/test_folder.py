"""The run's folder: continued or refused at once, and never shared by two runs."""

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from emulator.errors import LocalRunError
from emulator.program import ROOT
from local import folder

MADE_OF = {"shop": ["db", 3306], "seed": 1}
Usage = namedtuple("Usage", "total used free")


def test_an_earlier_runs_folder_keeps_its_model_and_nothing_that_has_old_passwords(tmp_path: Path) -> None:
    place = tmp_path / "with a space"
    version = Path("training", "abc", "20261120T173000Z-1a2b3c")
    with folder.claimed(place):
        for name in ("postgres/data", "mysql", "aws", str(version)):
            (place / name).mkdir(parents=True)
        (place / version / "manifest.json").touch()
        folder.note_model(place, place / version, MADE_OF)
    with folder.claimed(place) as again:
        assert sorted(path.name for path in again.iterdir()) == ["model.json", "run.lock", "training"]
        assert folder.kept_model(again, MADE_OF) == again / version
        assert folder.kept_model(again, {**MADE_OF, "seed": 2}) is None


def test_a_folder_that_cannot_be_used_is_refused_in_one_line_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "thesis.tex").touch()
    for place, reason in (
        (tmp_path / "file", "expected a folder, found a file"),
        (tmp_path / "file" / "below", "cannot be used: Not a directory"),
        (tmp_path / "others", "expected a new or empty folder, or that of an earlier run, found one with thesis.tex"),
        (Path("/proc/self"), "expected a new or empty folder"),
        (Path("/proc/run"), "cannot be used"),
    ):
        with pytest.raises(LocalRunError, match=reason) as raised, folder.claimed(place):
            pass
        assert "\n" not in str(raised.value)
    assert [path.name for path in (tmp_path / "others").iterdir()] == ["thesis.tex"]


def test_an_unwritable_folder_and_a_small_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.lock").mkdir()  # what root cannot open, either
    with pytest.raises(LocalRunError, match="cannot be written to: Is a directory"), folder.claimed(tmp_path):
        pass
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2, 1, 70_000_000))
    with pytest.raises(LocalRunError, match="needs 500 MB of free space, found 70 MB"), folder.claimed(tmp_path / "a"):
        pass


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from local import folder\n"
        "with folder.claimed(pathlib.Path(sys.argv[1])): print('claimed', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(LocalRunError, match=rf"another run \(process {other.pid}\)"), folder.claimed(tmp_path):
            pass
        other.communicate("")
    with folder.claimed(tmp_path):
        pass


def test_a_folder_that_a_run_made_for_nothing_is_removed() -> None:
    with folder.claimed(None) as place:
        assert place.is_dir()
    assert not place.exists()
    with folder.claimed(None) as place:
        (place / "training.log").touch()
    assert place.exists()
    shutil.rmtree(place)
