"""`python -m local check` examines a shop's database as the ETL will, and proposes a dataset.toml."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql

from contracts import dataset_file
from contracts.dataset import Dataset
from emulator.errors import LocalRunError
from emulator.program import ROOT
from local.check import columns
from local.check.propose import propose
from local.check.report import Report
from local.login import connected, parse_url
from local.options import PASSWORD_VARIABLE, Parser, ask_password


def main(arguments: list[str]) -> int:
    """Reads the database only, without Spark or the emulator, and prints what a run would make of its tables."""
    options = _parser().parse_args(arguments)
    login = parse_url(options.source, ask_password)
    if options.propose and options.propose.exists():
        raise LocalRunError(f"--propose {options.propose}: expected no such file, found one: give another name")
    spec = None if options.propose else dataset_file.load(options.dataset or ROOT / "dataset.toml")
    try:
        with connected(login) as connection, connection.cursor() as cursor:
            if options.propose:
                _write(options.propose, propose(cursor, login))
                print(f"proposed: {options.propose}")
                spec = dataset_file.load(options.propose)
            assert spec is not None
            return _print_report(cursor, spec, columns.check(cursor, login, spec))
    except pymysql.err.MySQLError as error:
        raise LocalRunError(f"source database {login}: {error.args[-1]}") from error


def _print_report(cursor: Any, spec: Dataset, counts: dict[str, int]) -> int:
    report = Report(cursor, spec, columns.types(cursor, spec))
    for line in report.lines():
        print(line)
    for warning in report.warnings:
        print(f"! {warning}")
    print(_verdict(report.warnings, counts))
    return 1 if report.warnings else 0


def _verdict(warnings: list[str], counts: dict[str, int]) -> str:
    return f"{len(warnings)} to look at" if warnings else "a run can start: " + ", ".join(_told(counts))


def _told(counts: dict[str, int]) -> Iterator[str]:
    return (f"{number:,} {role}" for role, number in counts.items())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalRunError(f"--propose {path}: cannot be written: {error.strerror}") from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m local check", description=main.__doc__)
    parser.add_argument(
        "--source",
        required=True,
        metavar="mysql://user:password@host/db",
        help=f"the shop's database; a password that is left out is asked for, or taken from {PASSWORD_VARIABLE}",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--dataset", type=Path, metavar="FILE", help="how its tables are (default: dataset.toml)")
    choice.add_argument("--propose", type=Path, metavar="FILE", help="write a dataset.toml for it, and check that")
    return parser
