"""The options of a run, read from the command line and checked as far as possible before anything starts."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from contracts import dataset_file
from contracts.dataset import Dataset
from contracts.mysql import Login
from emulator.errors import LocalRunError
from emulator.program import ROOT, Stack, read_stack
from local.events import Event, read_events
from local.login import jdbc_options, parse_url, settled

PASSWORD_VARIABLE = "SOURCE_PASSWORD"  # noqa: S105  (a variable's name)
"""The variable with the password of `--source` if the URL has none: other users of a machine can see command lines."""


PORT = 8080


class Parser(argparse.ArgumentParser):
    """Prints a mistake in one line, as all other errors here."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error {message} ({self.prog} --help lists all arguments)\n")


@dataclass(frozen=True)
class Options:
    """The checked options of a run."""

    stack: Stack
    spec: Dataset
    folder: Path | None = None
    sql_dump: Path | None = None
    ratings: Path | None = None
    source: Login | None = None
    events: list[Event] | None = None
    n_events: int = 200
    seed: int = 1
    keep_running: bool = False
    retrain: bool = False
    port: int = PORT
    """The port of the shop's pages on loopback; 0 takes a free one."""
    open_browser: bool = False

    @property
    def made_of(self) -> dict[str, Any]:
        """The values that a model depends on. A run with the same values uses the model that is there."""
        if self.source:
            shop: Any = [self.source.host, self.source.port, self.source.database]
        elif self.sql_dump:
            shop = [_stamp(path) for path in (self.sql_dump, self.ratings) if path]
        else:
            shop = "sample shop"
        return {"shop": shop, "dataset": self.spec.to_dict(), "stack": self.stack.name, "seed": self.seed}


def read(arguments: list[str]) -> Options:
    """Reads the command line of a run. Raises `LocalRunError` or `DatasetError` for a wrong value; exits with 2 for an
    unknown argument."""
    given = _parser().parse_args(arguments)
    events = read_events(given.events) if given.events else None
    options = _checked(given)
    return replace(options, events=events, n_events=given.n_events, keep_running=given.keep_running)


def read_shop(arguments: list[str]) -> Options:
    """Reads the command line of `shop`, as `read` does."""
    given = _shop_parser().parse_args(arguments)
    return replace(_checked(given), port=given.port, open_browser=given.browser)


def _checked(given: argparse.Namespace) -> Options:
    """Returns the options that both commands have."""
    _check_together(given)
    source = parse_url(given.source, ask_password) if given.source else None
    for option, path in (("--sql-dump", given.sql_dump), ("--ratings", given.ratings)):
        if path and not path.is_file():
            raise LocalRunError(f"{option} {path}: expected a file, found none")
    stack = read_stack(given.stack, _overrides(given, source))
    spec = dataset_file.load(ROOT / stack.config.get("recommender:dataset_file", "dataset.toml"))
    if source:  # the password is asked for last, when all other options are right
        source = settled(source)
        stack = read_stack(given.stack, _overrides(given, source))
    return Options(
        stack=stack,
        spec=spec,
        folder=given.folder,
        sql_dump=given.sql_dump,
        ratings=given.ratings,
        source=source,
        seed=given.seed,
        retrain=given.retrain,
    )


def ask_password(who: str) -> str:
    """Returns the password that a URL lacks, from the environment or from the person at the terminal."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"password of {who}: ")
    return password or ""


def _check_together(given: argparse.Namespace) -> None:
    if given.ratings and not given.sql_dump:
        raise LocalRunError("--ratings goes with --sql-dump: ratings that the dump has no table of")
    if given.source and given.sql_dump:
        raise LocalRunError("--source reads a database that runs, --sql-dump fills one: give one of them")
    if given.dataset and not given.dataset.is_file():
        raise LocalRunError(f"--dataset {given.dataset}: expected a file like dataset.toml, found none")
    if given.dataset and not (given.source or given.sql_dump):
        raise LocalRunError("--dataset says how your shop's tables are: give them with --source or --sql-dump")


def _overrides(given: argparse.Namespace, source: Login | None) -> dict[str, object]:
    """Returns the settings that differ on this machine from the stack's own configuration."""
    # The Lambda processes run in this environment, which has the functions' packages. The delivery stream buffers
    # records for one second only, because somebody waits for the result.
    overrides: dict[str, object] = {
        "common.bundle_dependencies": False,
        "stream.processor_buffer_seconds": 1,
        "stream.delivery_buffer_seconds": 1,
        "source.sample_shop_seed": given.seed,
        # A stack whose source is an existing database runs here on a trial one, or on the one of --source.
        "source.trial": source is None,
    }
    if given.dataset:
        overrides["dataset_file"] = str(given.dataset.resolve())
    if given.sql_dump:
        overrides["source.sample_shop"] = False
    if source:
        overrides |= {
            "source.host": source.host,
            "source.port": source.port,
            "source.database": source.database,
            "source.username": source.username,
            "source.password": source.password,
            "source.options": jdbc_options(source.tls),
        }
    return overrides


def _stamp(path: Path) -> list[Any]:
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """Reads a whole number within limits."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"expected a whole number from {lowest:,} to {highest:,}, found {text!r}")
        return value

    return read


def _parser() -> Parser:
    parser = Parser(
        prog="python -m local",
        description="Runs the whole system on this machine.",
        epilog="Further commands: shop (a storefront and a console in the browser), check (a shop's database, without "
        "a run), send (an event to a run that is kept up), graph (a stack's resources), cost (its bill), clean (what "
        "earlier runs left). Each has a --help of its own.",
    )
    _add_run(parser)
    parser.add_argument("--keep-running", action="store_true", help="leave everything up at the end, until Ctrl-C")
    events = parser.add_argument_group("the events (default: made of the shop's customers and products)")
    events.add_argument("--events", type=Path, metavar="FILE", help="JSON: an event, a list, or one a line")
    events.add_argument(
        "--n-events", type=number(1, 100_000), default=200, metavar="N", help="how many to make (default: 200)"
    )
    return parser


def _shop_parser() -> Parser:
    parser = Parser(
        prog="python -m local shop",
        description="Brings the whole system up on this machine, and opens a storefront and a console in the browser.",
    )
    _add_run(parser)
    parser.add_argument(
        "--port", type=number(0, 65_535), default=PORT, help=f"of the pages; 0 takes a free one (default: {PORT})"
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address, and open no browser"
    )
    return parser


def _add_run(parser: Parser) -> None:
    parser.add_argument("--stack", default="dev", help="which Pulumi.<stack>.yaml to run (default: dev)")
    parser.add_argument(
        "--folder", type=Path, help="where the run keeps data, logs and results; an earlier run's model is used again"
    )
    parser.add_argument("--retrain", action="store_true", help="train, even where the folder has a model of the data")
    parser.add_argument(
        "--seed", type=number(0, 2**31 - 1), default=1, help="of the sample shop, the training and the events"
    )
    shop = parser.add_argument_group("the shop (default: a generated one)")
    shop.add_argument("--sql-dump", type=Path, metavar="FILE", help="a dump of the shop's tables (MySQL or MariaDB)")
    shop.add_argument("--ratings", type=Path, metavar="FILE", help="csv: the ratings, where the dump has none")
    shop.add_argument(
        "--source",
        metavar="mysql://user:password@host/db",
        help=f"a database that runs already; without a password it is asked for, or taken from {PASSWORD_VARIABLE}; "
        "encrypted where the server can, or as ?ssl-mode=VERIFY_CA&ssl-ca=FILE behind it says",
    )
    shop.add_argument(
        "--dataset", type=Path, metavar="FILE", help="how its tables are (default: the stack's dataset.toml)"
    )
