"""Each handler, fuzzed for a few seconds; `make audit` does it for minutes."""

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import inference, loader, stream_transformation

SECONDS = 5.0
RUNS = {"inference": inference.run, "loader": loader.run, "stream_transformation": stream_transformation.run}


def test_the_command_fuzzes_every_handler() -> None:
    assert set(RUNS) == set(command.HANDLERS)


@pytest.mark.parametrize("handler", RUNS)
def test_nothing_that_is_made_up_breaks_the_handler(handler: str) -> None:
    assert RUNS[handler](SECONDS)
