"""Loads a dump of MySQL 5.7 to 8.4 or of MariaDB into MariaDB, and translates what differs in syntax.

It leaves out only what the data does not depend on: definers, checks, default expressions, indexes over expressions.
Line breaks stay, so that a line number in the server's message is the dump's own.
"""

import codecs
import gzip
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.mysql import Login
from emulator.errors import LocalRunError

GZIP_MAGIC = b"\x1f\x8b"
CLIENT_ERROR = re.compile(r"ERROR (\d+) \(\w+\) at line (\d+)[^:]*: (.*)", re.DOTALL)
LONGEST_MESSAGE = 300
LONG_LINE = 10_000


class DumpError(ValueError):
    """A dump that cannot be loaded; the text names the line."""


def load(login: Login, dump: Path) -> None:
    """Sends the dump through the server's own client, which knows all of the syntax and leaves bytes alone.

    Raises `LocalRunError` with the line that is not understood.
    """
    client = shutil.which("mariadb") or shutil.which("mysql")
    if client is None:
        raise LocalRunError("--sql-dump: the client program mariadb is missing: apt-get install mariadb-client")
    place = [f"--host={login.host}", f"--port={login.port}", f"--user={login.username}", login.database]
    try:
        with _opened(dump) as lines, tempfile.TemporaryFile() as kept:
            kept.writelines(translated(lines))
            kept.seek(0)
            result = subprocess.run(
                [client, "--no-defaults", "--protocol=TCP", "--default-character-set=utf8mb4", "--binary-mode", *place],
                stdin=kept,
                env={"MYSQL_PWD": login.password},
                capture_output=True,
                check=False,
            )
    except (DumpError, OSError, EOFError, UnicodeDecodeError) as error:
        raise LocalRunError(f"--sql-dump {dump}: {error}") from error
    if result.returncode != 0:
        raise LocalRunError(f"--sql-dump {dump}{_reason(result.stderr.decode(errors='replace').strip())}")


@contextmanager
def _opened(dump: Path) -> Iterator[Iterable[bytes]]:
    with dump.open("rb") as file:
        start = file.read(4096)
        file.seek(0)
        if start.startswith(GZIP_MAGIC):
            with gzip.open(file) as unpacked:
                yield unpacked
        elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's `>` writes UTF-16
            with dump.open(encoding="utf-16", newline="") as text:
                yield (line.encode() for line in text)
        elif b"\0" in start:
            raise DumpError("expected the SQL text that mysqldump writes, plain or gzipped, found a binary file")
        else:
            yield file


def _reason(said: str) -> str:
    found = CLIENT_ERROR.search(said)
    if not found:
        return f": {said.splitlines()[-1] if said else 'the client failed without a word'}"
    message = re.sub(r"\s+", " ", found[3])
    shown = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"
    return f", line {found[2]}: {shown} (error {found[1]})"


_END_OF_LITERAL = {
    b"'": re.compile(rb"(?:[^'\\]|\\.|'')*+'", re.DOTALL),
    b'"': re.compile(rb'(?:[^"\\]|\\.|"")*+"', re.DOTALL),
    b"*": re.compile(rb".*?\*/", re.DOTALL),
}
_LITERAL = re.compile(rb"""'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+"|/\*(?!M?!).*?\*/|(?:--[\s].*|\#.*)""", re.DOTALL)
"""A text or a comment. `/*!…*/` is not a comment, since it is executed."""
_COMPLETE = re.compile(
    rb"""(?:[^'"`/#-]++|`[^`]*`|'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+"|/\*(?!M?!).*?\*/"""
    rb"""|--[\s].*|\#.*|/(?!\*(?!M?!))|-(?!-\s))*+""",
    re.DOTALL,
)
"""A line up to a text or comment that it does not close."""

_NAME = rb"(?:`[^`]+`|\w+)"
_DATABASE = re.compile(rb"\s*(?:(?:CREATE|DROP)\s+(?:DATABASE|SCHEMA)\b|USE\s+" + _NAME + rb"\s*;)", re.IGNORECASE)
_DATABASE_NAME = re.compile(
    rb"(?:USE|DATABASE|SCHEMA)\s+(?:/\*!\d+\s+IF\s+(?:NOT\s+)?EXISTS\s*\*/|IF\s+(?:NOT\s+)?EXISTS)?\s*("
    + _NAME
    + rb")",
    re.IGNORECASE,
)
_QUALIFIED = re.compile(
    rb"\b((?:INTO|TABLES?|EXISTS|REFERENCES|VIEW|UPDATE|INDEX\s+" + _NAME + rb"\s+ON)(?:\s*\*/)?\s+)(" + _NAME + rb")"
    rb"\s*\.\s*(?=[`\w])",
    re.IGNORECASE,
)
_READ_FROM = re.compile(rb"\b((?:FROM|JOIN)\s+\(*)(" + _NAME + rb")\s*\.\s*(?=[`\w])", re.IGNORECASE)
_OF_A_COLUMN = re.compile(rb"()(?<![.\w`])(" + _NAME + rb")\.(?=" + _NAME + rb"\." + _NAME + rb")")
_INSERT = re.compile(rb"\s*(?:INSERT|REPLACE)\b", re.IGNORECASE)
_FOLDS = {b"ai_ci": b"uca1400_nopad_ai_ci", b"as_ci": b"uca1400_nopad_as_ci", b"as_cs": b"uca1400_nopad_as_cs"}

_REWRITES: tuple[tuple[re.Pattern[bytes], bytes | Callable[[re.Match[bytes]], bytes]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # MySQL 8's collations are by the Unicode of 2016 and pad nothing; MariaDB's nearest ones are of 2021.
        (
            rb"\butf8mb4_(?:[a-z]+_)*?0900_(ai_ci|as_ci|as_cs|bin)(?:_ks)?\b",
            lambda found: b"utf8mb4_" + _FOLDS.get(found[1].lower(), b"nopad_bin"),
        ),
        (rb"DEFINER\s*=\s*(?:" + _NAME + rb"|\0\d+\0)\s*@\s*(?:`[^`]*`|[\w.%]+|\0\d+\0)", b""),
        (rb"@@GLOBAL\.GTID_PURGED", b"@gtid_purged"),
        (rb"\b(STORED|VIRTUAL)\s+NOT\s+NULL\b", rb"\1"),
        (rb"(?<!`)\bINVISIBLE\b(?!`)", b""),
        (rb"\bENCRYPTION\s*=\s*\0\d+\0", b""),
        (rb"\bWITH\s+PARSER\s+" + _NAME, b""),
        (rb"(?<!`)\bTABLESPACE\s+" + _NAME + rb"(?:\s+STORAGE\s+\w+)?", b""),
        (rb"/\*M!999999\\- enable the sandbox mode \*/", b""),
        # An index over an expression, and a check: MariaDB lacks some of MySQL's functions.
        (rb"^\s*(?:UNIQUE\s+)?(?:KEY|INDEX)\s+" + _NAME + rb"\s+\((?:.*,)?\(.*?(,?)\s*$", rb"  CHECK (TRUE)\1\n"),
        (rb"^\s*CONSTRAINT\s+" + _NAME + rb"\s+CHECK\s+\(.*?(,?)\s*$", rb"  CHECK (TRUE)\1\n"),
    )
)
_DEFAULT_EXPRESSION = re.compile(rb"\bDEFAULT\s+\(", re.IGNORECASE)


def translated(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the dump's lines as MariaDB takes them, one for each. Raises `DumpError`."""
    databases: dict[bytes, int] = {}
    opened, dropping = b"", False
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        before = b""
        if opened:
            end = _END_OF_LITERAL[opened].match(line)
            if end is None:
                yield b"\n" if dropping else line
                continue
            before, line, opened = line[: end.end()], line[end.end() :], b""
        code = line[: _COMPLETE.match(line).end()]  # type: ignore[union-attr]
        rest = line[len(code) :]
        opened = b"*" if rest.startswith(b"/*") else rest[:1]
        if dropping or (not before and _DATABASE.match(code)):
            _note(databases, _DATABASE_NAME.findall(code) if not dropping else [], number)
            dropping = b";" not in code
            yield b"\n"
            continue
        yield before + _rewritten(code, databases, number) + rest


def _rewritten(code: bytes, databases: dict[bytes, int], number: int) -> bytes:
    if len(code) > LONG_LINE and _INSERT.match(code):  # most of a dump is rows, which hold no syntax
        head, values, rows = re.split(rb"(\bVALUES?\b|$)", code, maxsplit=1, flags=re.IGNORECASE)
        return _unqualified(head, databases, number) + values + rows
    literals: list[bytes] = []

    def mask(found: re.Match[bytes]) -> bytes:
        literals.append(found[0])
        return b"\0%d\0" % (len(literals) - 1)

    marked = _unqualified(_LITERAL.sub(mask, code), databases, number)
    for pattern, replacement in _REWRITES:
        marked = pattern.sub(replacement, marked)
    marked = _without_default_expressions(marked)
    return re.sub(rb"\0(\d+)\0", lambda found: literals[int(found[1])], marked)


def _unqualified(code: bytes, databases: dict[bytes, int], number: int) -> bytes:
    """Removes the database's name in front of tables' names: all of them go to the run's database."""
    _note(databases, [found[1] for found in _QUALIFIED.findall(code)], number)
    code = _QUALIFIED.sub(rb"\1", code)
    for pattern in (_READ_FROM, _OF_A_COLUMN):
        code = pattern.sub(lambda found: found[1] if found[2].strip(b"`").lower() in databases else found[0], code)
    return code


def _note(databases: dict[bytes, int], names: Iterable[bytes], number: int) -> None:
    for name in names:
        databases.setdefault(name.strip(b"`").lower(), number)
    if len(databases) > 1:
        (first, line), (second, other) = list(databases.items())[:2]
        raise DumpError(
            f"expected the tables of one database, found {first.decode(errors='replace')} (line {line}) and "
            f"{second.decode(errors='replace')} (line {other}): dump the shop's alone (mysqldump NAME)"
        )


def _without_default_expressions(code: bytes) -> bytes:
    """Removes `DEFAULT (…)`, which only matters for later rows."""
    while found := _DEFAULT_EXPRESSION.search(code):
        depth, end = 1, found.end()
        while depth and end < len(code):
            depth += {b"(": 1, b")": -1}.get(code[end : end + 1], 0)
            end += 1
        code = code[: found.start()] + code[end:]
    return code
