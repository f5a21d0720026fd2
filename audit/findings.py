"""Findings of the scanners, and the exceptions in `accepted.toml`, each with its reason."""

import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ACCEPTED = Path(__file__).with_name("accepted.toml")


@dataclass(frozen=True)
class Finding:
    """A failing check."""

    check: str
    """The scanner's id, such as `CKV_AWS_18`."""
    where: str
    """A resource of a stack (`prod/vectors-postgres`), a place in the code (`etl/mysql.py:44`), or a package."""
    text: str

    def __str__(self) -> str:
        return f"{self.check}  {self.where}  {self.text}"


@dataclass(frozen=True)
class Acceptance:
    """An accepted check."""

    check: str
    where: tuple[str, ...]
    """Patterns of `Finding.where`."""
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Returns True if this exception covers the finding."""
        return self.check == finding.check and any(fnmatch.fnmatch(finding.where, pattern) for pattern in self.where)


def accepted(path: Path = ACCEPTED) -> list[Acceptance]:
    """Reads the exceptions of the file. Raises `ValueError` if one has no reason."""
    entries = tomllib.loads(path.read_text())["accepted"]
    for entry in entries:
        if not entry.get("reason", "").strip():
            raise ValueError(f"{path.name}: {entry['check']}: expected a reason, found none")
    return [Acceptance(entry["check"], tuple(entry["where"]), entry["reason"]) for entry in entries]


def open_findings(findings: Iterable[Finding], exceptions: Sequence[Acceptance]) -> list[Finding]:
    """Returns the findings that no exception covers."""
    return [finding for finding in findings if not any(entry.covers(finding) for entry in exceptions)]


def unused(findings: Sequence[Finding], exceptions: Sequence[Acceptance]) -> list[str]:
    """Returns check and pattern of exceptions that no finding needs any more."""
    return [
        f"{entry.check} {pattern}"
        for entry in exceptions
        for pattern in entry.where
        if not any(entry.check == found.check and fnmatch.fnmatch(found.where, pattern) for found in findings)
    ]
