"""Every test that the documentation names exists, and every promise there names a test."""

import re
import subprocess
import sys

import pytest

from emulator.program import ROOT

FINDINGS = (ROOT / "tests" / "faults" / "README.md").read_text()
STREAMING = (ROOT / "docs" / "streaming.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)(::[^`]+)?`")

NUMBERED, LOW = 13, 9
"""The findings of issue 13."""

NO_PROMISES = {
    "A long run": "what a benchmark counted, with its date",
    "Measured": "figures of benchmarks, each with its date",
    "When an alarm rings": "what to do, not what the system does",
}
"""Sections of docs/streaming.md whose sentences need no test, and why."""

EXPLAINS = ("`recommender:stream` takes `delivery`, one of:",)
"""Beginnings of blocks that promise nothing: what leads to a list."""


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The names of all tests that pytest finds in the files that the two pages name, with and without parameters."""
    files = sorted({path for path, _ in _TEST.findall(FINDINGS + STREAMING)})
    assert [path for path in files if not (ROOT / path).is_file()] == []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    names = [line for line in listed.stdout.splitlines() if "::" in line]
    return {*names, *(name.partition("[")[0] for name in names)}


def named_in(text: str) -> list[str]:
    return [path + name for path, name in _TEST.findall(text) if name]


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without its heading."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[1:]]


def test_each_finding_has_a_test(collected: set[str]) -> None:
    found = rows(FINDINGS)
    names = [finding for finding, *_ in found]
    assert names[:NUMBERED] == [str(number) for number in range(1, NUMBERED + 1)]
    assert len([name for name in names if name.startswith("low: ")]) == LOW == len(names) - NUMBERED
    assert [finding for finding, _, shown in found if not named_in(shown)] == []
    assert [name for name in named_in(FINDINGS) if name not in collected] == []


def notes() -> dict[str, str]:
    return dict(re.findall(r"^\[\^(\w+)\]: (.*)$", STREAMING, re.MULTILINE))


def blocks() -> list[str]:
    """Paragraphs, points of lists and rows of tables of the sections that promise something."""
    page = re.sub(r"^\[\^\w+\]: .*$", "", STREAMING, flags=re.MULTILINE)
    sections = [section for section in page.split("\n## ") if section.partition("\n")[0] not in NO_PROMISES]
    found: list[str] = []
    for section in sections:
        for block in re.split(r"\n{2,}", section.partition("\n")[2]):
            if block.startswith("| "):
                found += block.splitlines()[2:]
            else:
                found += re.split(r"\n(?=- )", block.strip())
    return [block for block in found if block]


def test_each_promise_about_the_stream_has_a_test(collected: set[str]) -> None:
    named = notes()
    assert [label for label, text in named.items() if not named_in(text)] == []
    assert [name for name in named_in(STREAMING) if name not in collected] == []
    used = set(re.findall(r"\[\^(\w+)\](?!:)", STREAMING))
    assert used == named.keys()
    assert NO_PROMISES.keys() <= set(re.findall(r"^## (.*)$", STREAMING, re.MULTILINE))
    without = [block for block in blocks() if "[^" not in block and not block.startswith(EXPLAINS)]
    assert without == []
