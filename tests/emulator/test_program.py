"""Running the Pulumi program without the engine."""

import gc
from typing import Any

import pytest
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from emulator.errors import LocalRunError
from emulator.program import read_stack, run_program
from local.graph.recorder import COMPUTED, LOOKUPS


class FullDisk(Mocks):
    """Makes everything but the databases."""

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return LOOKUPS[args.token], []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == "aws:rds/instance:Instance":
            raise LocalRunError(f"{args.name}: no space left on device")
        computed = {key: f"{args.name}-{key}" for key in COMPUTED}
        computed["arn"] = f"arn:aws:x:eu-west-1:111122223333:{args.name}"
        return f"{args.name}-id", {**computed, **args.inputs}


def test_a_failed_deployment_raises_its_error_and_prints_nothing_after_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    mocks = FullDisk()
    with pytest.raises(LocalRunError, match="no space left on device"):
        run_program(mocks, MockMonitor(mocks), read_stack("dev", {"common.bundle_dependencies": False}))
    gc.collect()  # asyncio reports a future's lost exception when the future goes
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
