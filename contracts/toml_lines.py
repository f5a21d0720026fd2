"""Finds the line of each key in a TOML text: `tomllib` reads values, but does not keep their lines."""

import re

_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_NAMES = re.compile(_NAME)
_TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*$")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|.)*?"""|' + r"'''.*?'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|#[^\n]*", re.DOTALL
)


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Returns path → line (from 1) of every table and key of a valid TOML text, such as `("users", "key")` → 2."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(_STRING_OR_COMMENT.sub(_blank, text).split("\n"), start=1):
        if header := _TABLE.match(line):
            table = _path(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_path(key[1])), number)
    return found


def _blank(token: re.Match[str]) -> str:
    """Removes a comment or a string of several lines, which may contain what looks like a key; keeps its line ends."""
    return "\n" * token[0].count("\n") if token[0].startswith(("#", '"""', "'''")) else token[0]


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _NAMES.findall(dotted))
