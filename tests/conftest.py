"""Services that tests of several parts share; each is started by the first test that asks for it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.mysql import Login
from emulator.mariadb import MariaDB
from emulator.ministack import MiniStack
from tests.databases import new_database, running_mariadb
from tests.emulator.aws import Aws
from tests.engine.cli import HOW_TO

SLOWEST = ("local/test_permissions", "local/test_demo", "local/test_other_shop", "local/test_wiring", "faults/", "etl/")
"""Files that run the whole system or Spark; the slowest first, so that no one of them is left for the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def order(item: pytest.Item) -> int:
        return next((n for n, slow in enumerate(SLOWEST) if f"tests/{slow}" in item.nodeid), len(SLOWEST))

    items.sort(key=order)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A machine without a Pulumi CLI and without Go checks less than others, and says so at the end."""
    left_out = [report for report in terminalreporter.stats.get("skipped", []) if "tests/engine/" in report.nodeid]
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests with the real Pulumi engine were skipped: {HOW_TO}", yellow=True
        )


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with running_mariadb() as server:
        yield server


@pytest.fixture
def shop_database(mariadb: MariaDB) -> Login:
    """An empty database of the test's own."""
    return new_database(mariadb)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    folder = tmp_path_factory.mktemp("ministack")
    server = MiniStack(folder / "data", folder / "ministack.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def aws(ministack: MiniStack) -> Aws:
    return Aws(ministack)


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder for a local run."""
    with tempfile.TemporaryDirectory(prefix="recommender-test-") as folder:
        yield Path(folder)
