"""One MiniStack for all tests of the local run's services."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ministack import MiniStack
from tests.local.aws import Aws
from tests.local.harness import make_artifacts


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


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model version, in a folder of its name."""
    return make_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder that the database servers' own users can enter; pytest's are closed to them."""
    with tempfile.TemporaryDirectory(prefix="recommender-test-") as folder:
        yield Path(folder)
