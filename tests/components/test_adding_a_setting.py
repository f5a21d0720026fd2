"""The diff of docs/components.md adds a setting, and nothing else has to change."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.program import ROOT, read_complete_stack
from tests.components.program import BUILD_GRAPH

RUNNER = BUILD_GRAPH + 'print(graph.one("glue/job:Job").inputs["maxRetries"])'
DIFF = (ROOT / "docs" / "components.md").read_text().partition("```diff\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with the diff applied."""
    folder = tmp_path_factory.mktemp("changed") / "program"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "node_modules")
    shutil.copytree(ROOT, folder, ignore=left_out)
    subprocess.run(["git", "apply", "--verbose", "-"], cwd=folder, input=DIFF, text=True, check=True)
    return folder


def run(folder: Path, **batch: Any) -> subprocess.CompletedProcess[str]:
    overrides = {"common.bundle_dependencies": False} | {f"batch.{name}": value for name, value in batch.items()}
    config = read_complete_stack("dev", overrides).config
    command = [sys.executable, "-c", RUNNER, json.dumps(dict(config))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_is_four_lines_in_two_files_at_most() -> None:
    assert 1 <= len(re.findall(r"^\+[^+]", DIFF, re.MULTILINE)) <= 4
    assert 1 <= len(re.findall(r"^\+\+\+ ", DIFF, re.MULTILINE)) <= 2


def test_the_setting_has_its_default_takes_another_value_and_is_checked(changed: Path) -> None:
    assert int(float(run(changed).stdout)) == 1
    assert int(float(run(changed, retries=2).stdout)) == 2
    refused = run(changed, retries="two").stderr.splitlines()[-1]
    assert refused.endswith("recommender:batch.retries: expected a whole number, got 'two'")
    assert run(changed, retires=2).stderr.splitlines()[-1].endswith("batch.retires: no such key: did you mean retries?")
