"""Docstrings begin with a subject or a verb, so that they are read once."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
RIDDLES = {"What", "Of", "As", "Whom", "Whether"}
"""First words of docstrings without a subject, such as "What a stack may say of it"."""


def test_no_docstring_begins_like_a_riddle() -> None:
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    sources = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    found = [
        f"{path}:{node.lineno}: {text[:60]}"
        for path in sources
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for text in [str(node.value.value)]
        if text.split()[:1] and text.split()[0] in RIDDLES
    ]
    assert sources
    assert found == [], "begin with what it is, or with what it does"
