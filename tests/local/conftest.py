"""A model version for the tests of the local run."""

from pathlib import Path

import pytest

from tests.local.harness import make_artifacts


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model version, in a folder of its name."""
    return make_artifacts(tmp_path_factory.mktemp("artifacts"))
