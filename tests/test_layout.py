"""Folders import only what the layout allows: the parts meet in `contracts`, and the product never needs the
emulator."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "components": {"functions", "etl", "training", "operations", "local", "emulator"},
    "functions": {"components", "training", "operations", "local", "emulator"},
    "etl": {"components", "functions", "training", "operations", "local", "emulator"},
    "training": {"components", "operations", "local", "emulator"},
    "operations": {"local", "emulator", "storefront"},
    "storefront": {"components", "functions", "etl", "training", "local", "emulator"},
    "local": {"functions"},
    "emulator": {"local"},
    "acceptance": {"components", "functions", "local", "emulator", "tests"},
    "contracts": {"components", "functions", "etl", "training", "operations", "local", "emulator"},
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_imports_only_what_the_layout_allows(folder: str) -> None:
    imported = {
        (name.partition(".")[0], str(path.relative_to(ROOT)))
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
    }
    assert imported
    assert [f"{path} imports {name}" for name, path in sorted(imported) if name in FORBIDDEN[folder]] == []


def test_each_decision_has_a_number_of_its_own_and_is_listed_under_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    decisions = {path.name: path.read_text().partition("\n")[0] for path in sorted(folder.glob("[0-9]*.md"))}
    numbers = [int(name[:4]) for name in decisions]
    assert len(set(numbers)) == len(numbers), f"docs/adr: a number is used twice in {numbers}"
    titles = [title.partition(". ") for title in decisions.values()]
    assert [number for number, _, _ in titles] == [f"# {number}" for number in numbers], "file name and title agree"
    rows = [f"| {n} | [{title}]({name}) |" for n, name, (_, _, title) in zip(numbers, decisions, titles, strict=True)]
    index = [line for line in (folder / "README.md").read_text().splitlines() if "](" in line]
    assert index == rows, "docs/adr/README.md: expected a row for each decision, in order"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []
