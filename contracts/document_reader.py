"""Reads the values of a TOML document and collects every mistake, with its line."""

from collections.abc import Mapping
from typing import Any


class DocumentReader:
    """Reads values of the expected type; a value of another type is a mistake, and a harmless one takes its place.

    A subclass reads the document's tables and looks at `mistakes` at the end.
    """

    def __init__(self, source: str, lines: Mapping[tuple[str, ...], int]) -> None:
        self.source = source
        self.lines = lines
        self.mistakes: list[str] = []

    def mistake(self, where: tuple[str, ...], expected: str, found: object) -> None:
        """Adds a mistake at the path `where`, or at the nearest enclosing key whose line is known."""
        line = next((self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines), None)
        place = self.source if line is None else f"{self.source}:{line}"
        shown = "nothing" if found is None else repr(found)
        self.mistakes.append(f"{place}: {'.'.join(where)}: expected {expected}, found {shown}")

    def required_table(self, key: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        value = document.get(key)
        if isinstance(value, Mapping):
            return value
        self.mistake((key,), f"a table [{key}]", value)
        return None

    def table(self, path: tuple[str, ...], parent: Mapping[str, Any]) -> Mapping[str, Any]:
        """An optional table; `{}` where it is missing."""
        value = parent.get(path[-1], {})
        if isinstance(value, Mapping):
            return value
        self.mistake(path, f"a table [{'.'.join(path)}]", value)
        return {}

    def text(self, path: tuple[str, ...], table: Mapping[str, Any], default: str | None = None) -> str:
        """A required text that is not blank, or the default where the key is missing."""
        value = table.get(path[-1], default)
        if isinstance(value, str) and value.strip():
            return value
        self.mistake(path, {"query": "an SQL statement", "where": "an SQL condition"}.get(path[-1], "a name"), value)
        return ""

    def name(self, role: str, key: str, table: Mapping[str, Any]) -> str | None:
        """An optional column's name."""
        return self.text((role, key), table) or None if key in table else None

    def integer(self, path: tuple[str, ...], value: object, lowest: int, highest: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.mistake(path, f"a whole number from {lowest} to {highest}", value)
        return lowest

    def share(self, path: tuple[str, ...], value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.mistake(path, "a share from 0 to 1", value)
        return 0.0

    def unknown_keys(self, path: tuple[str, ...], table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self.mistake((*path, key), f"one of {', '.join(sorted(known))}", key)
