"""One system at work for all faults: what one breaks, it mends."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from emulator.program import read_stack
from local.session import deploy, running_services
from local.streaming import Streaming
from tests.faults.system import System
from tests.local.harness import QUICK, make_artifacts, with_timeout

INFERENCE_SECONDS = 5
SETTINGS = {**QUICK, "stream.processor_buffer_mb": 3}
"""The largest buffer that Lambda takes, so that a batch can be larger than its answer may be."""


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    artifacts = make_artifacts(tmp_path_factory.mktemp("artifacts"))
    with (
        tempfile.TemporaryDirectory(prefix="recommender-test-") as folder,
        running_services(Path(folder), "us-east-1") as cloud,
    ):
        deployment = deploy(cloud, read_stack("dev", SETTINGS), with_timeout("inference", INFERENCE_SECONDS))
        with Streaming(deployment) as streaming:
            system = System(deployment, streaming, artifacts, count())
            system.load()
            yield system
