"""Where each key of a TOML text stands: `tomllib` reads values, but forgets their lines."""

import re

_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_NAMES = re.compile(_NAME)
_TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*$")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|.)*?"""|' + r"'''.*?'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|#[^\n]*", re.DOTALL
)


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, of every table and key of a valid TOML text, by its path."""
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
    """Comments and strings of several lines may hold what looks like a key: only their line ends stay."""
    return "\n" * token[0].count("\n") if token[0].startswith(("#", '"""', "'''")) else token[0]


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _NAMES.findall(dotted))
