"""`clean` removes the leftovers of earlier runs."""

import tempfile
from pathlib import Path

import pytest

from local import __main__, clean, folder


def test_runs_that_are_over_are_named_and_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    somebodys = tmp_path / "recommender-notebook"
    somebodys.mkdir()
    with folder.claimed(None) as over:
        (over / "postgres").mkdir()
        (over / "postgres" / "data").write_bytes(bytes(3_000_000))
    with folder.claimed(tmp_path / "recommender-mine") as given, folder.claimed(None) as under_way:
        assert clean.earlier_runs() == [over]
        assert __main__.main(["clean"]) == 0
        assert sorted(tmp_path.iterdir()) == sorted([somebodys, given, under_way])
    assert f"removed 1 earlier run in {tmp_path}, 3 MB" in capsys.readouterr().out
