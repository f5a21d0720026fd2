"""The functions' zips: the same bytes for the same content, for Lambda's platform, and small enough."""

import os
import re
import zipfile
from pathlib import Path

import pytest

from components import packaging

FUNCTIONS = ("embedding_loader", "model_inference", "stream_transformation")
LOCKS = packaging.ROOT.glob("functions/*/requirements.lock")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packaging, "BUILD", tmp_path / "build")
    return tmp_path / "build"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_the_function_what_it_shares_and_the_contracts_and_no_other_part(
    build: Path, function: str
) -> None:
    names = zipfile.ZipFile(packaging.function_zip(function, with_dependencies=False)).namelist()
    assert {"functions/__init__.py", f"functions/{function}/handler.py", "contracts/artifacts.py"} <= set(names)
    assert {"/".join(name.split("/")[:2]) for name in names if name.startswith("functions/")} == {
        "functions/__init__.py",
        "functions/shared",
        f"functions/{function}",
    }
    assert {name.split("/")[0] for name in names} == {"functions", "contracts"}
    assert not [name for name in names if "__pycache__" in name]


def test_two_builds_at_two_times_give_the_same_bytes(build: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    first = packaging.write_zip("code", [("b/a.py", source), ("a/a.py", source)])
    content = first.read_bytes()
    first.unlink()
    os.utime(source, (0, 10**9))
    source.chmod(0o600)
    assert packaging.write_zip("code", [("a/a.py", source), ("b/a.py", source)]).read_bytes() == content


def test_another_content_has_another_name(build: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    first = packaging.write_zip("code", [("a.py", source)])
    source.write_text("x = 2\n")
    assert packaging.write_zip("code", [("a.py", source)]) != first


def test_packages_are_wheels_for_lambda_and_every_one_is_pinned(build: Path) -> None:
    path = packaging.function_zip("stream_transformation", with_dependencies=True)
    names = zipfile.ZipFile(path).namelist()
    compiled = [name for name in names if name.endswith(".so")]
    assert compiled
    assert all("cpython-313-aarch64-linux-gnu" in name for name in compiled), compiled
    installed = {match[1].lower() for name in names if (match := re.match(r"([^/]+?)-[^/]+\.dist-info/", name))}
    pinned = {
        line.split("==")[0].replace("-", "_").lower()
        for line in (packaging.ROOT / "functions" / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert installed <= pinned
    content = path.read_bytes()
    for old in build.iterdir():
        old.rename(build.parent / old.name)
    assert packaging.function_zip("stream_transformation", with_dependencies=True).read_bytes() == content


@pytest.mark.parametrize(
    ("pattern", "changed", "message"),
    [("sha256:[0-9a-f]{8}", "sha256:00000000", "DO NOT MATCH THE HASHES"), ("(?m)^aws", "x", "run scripts")],
)
def test_a_wheel_that_is_not_the_locked_one_is_refused(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, changed: str, message: str
) -> None:
    hashes = tmp_path / "hashes.lock"
    hashes.write_text(re.sub(pattern, changed, packaging.HASHES.read_text()))
    monkeypatch.setattr(packaging, "HASHES", hashes)
    with pytest.raises(packaging.PackagingError, match=message):
        packaging.function_zip("shop_seeder", with_dependencies=True)
    assert not build.exists() or list(build.iterdir()) == []


@pytest.mark.parametrize("function", [path.parent.name for path in sorted(LOCKS)])
def test_a_lock_names_the_pinned_versions_of_all_that_a_function_asks_for(function: str) -> None:
    """If it fails after a change of requirements.txt or constraints.txt, run scripts/lock.sh."""
    folder = packaging.ROOT / "functions"
    pinned, locked = _pins(folder / "constraints.txt"), _pins(folder / function / "requirements.lock")
    asked = {_name(line) for line in (folder / function / "requirements.txt").read_text().split()}
    assert asked <= locked.keys()
    assert locked.items() <= pinned.items()


def _pins(path: Path) -> dict[str, str]:
    lines = (line.split() for line in path.read_text().splitlines() if "==" in line)
    return {_name(line[0].partition("==")[0]): line[0].partition("==")[2] for line in lines}


def _name(requirement: str) -> str:
    return requirement.partition("[")[0].replace("_", "-").lower()


def test_a_function_larger_than_lambda_takes_is_refused_with_both_sizes(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "LAMBDA_UNZIPPED_LIMIT", 1024)
    with pytest.raises(packaging.PackagingError, match=r"function model_inference: .* MiB unzipped, Lambda takes"):
        packaging.function_zip("model_inference", with_dependencies=False)


def test_a_function_that_is_not_there_is_refused_by_name(build: Path) -> None:
    with pytest.raises(packaging.PackagingError, match=r"functions/no_such: expected a handler\.py"):
        packaging.function_zip("no_such", with_dependencies=False)
