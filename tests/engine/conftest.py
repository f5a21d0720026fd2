"""The real engine, where there is a Pulumi CLI."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import cli
from tests.engine.stacks import EngineStack, running


@pytest.fixture(scope="session", autouse=True)
def needs_the_cli() -> None:
    """Before every other fixture: a module's stack would fail where this skips."""
    if cli.find() is None:
        pytest.skip(f"no Pulumi CLI: {cli.HOW_TO}")


@pytest.fixture
def new_stack(needs_the_cli: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EngineStack]]:
    """Makes a stack with a cloud of its own: `new_stack("dev")` takes the settings of `Pulumi.dev.yaml`."""
    with ExitStack() as opened:

        def new(settings_of: str, name: str | None = None) -> EngineStack:
            folder: Path = tmp_path_factory.mktemp(settings_of)
            return opened.enter_context(running(folder, settings_of, name))

        yield new
