"""Running the Pulumi program without the engine."""

import gc
import subprocess
from typing import Any

import pulumi_aws
import pytest
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from components.live_changes import refusing
from emulator.errors import LocalRunError
from emulator.program import read_stack, run, run_program
from local.graph.recorder import COMPUTED, LOOKUPS, build


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


class Forking(FullDisk):
    """Starts a process for each resource, as the realisers do."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        subprocess.run(["true"], check=True)
        return "id", {}


def test_a_resource_with_hooks_starts_no_server_beside_which_every_fork_is_told_of(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def program() -> None:
        opts = refusing("hooked", lambda old, new: "never asked")
        pulumi_aws.s3.Bucket("after", bucket=pulumi_aws.s3.Bucket("hooked", opts=opts).id)

    mocks, before = Forking(), list(_CallbackServicer._servicers)  # other tests' engines have theirs
    run(program, mocks, MockMonitor(mocks), read_stack("dev"))
    assert _CallbackServicer._servicers == before
    assert capfd.readouterr() == ("", "")


def test_a_program_that_fails_leaves_no_task_to_whoever_comes_next(caplog: pytest.LogCaptureFixture) -> None:
    def program() -> None:
        pulumi_aws.s3.Bucket("first", bucket=pulumi_aws.s3.Bucket("second").id)
        raise LocalRunError("refused")

    with pytest.raises(LocalRunError, match="refused"):
        build(program)
    build(lambda: None)  # the SDK lets go of the first program's outputs
    gc.collect()
    assert caplog.text == ""
