"""One MiniStack for all tests of the local run's services."""

from collections.abc import Iterator

import pytest

from local.ministack import MiniStack
from tests.local.aws import Aws


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
