"""The acceptance run's stack under the real engine: it comes up, and it is destroyed, whatever happened in between."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest

from acceptance.report import Report
from acceptance.run import run
from acceptance.stack import EphemeralStack, missing
from acceptance.target import AcceptanceError, Target
from tests.engine import cli
from tests.engine.cloud import Cloud
from tests.engine.provider import serving


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def stack(cloud: Cloud, tmp_path: Path) -> Iterator[EphemeralStack]:
    command = cli.find()
    if command is None:
        pytest.skip(f"no Pulumi CLI: {cli.HOW_TO}")
    environment = cli_environment(tmp_path)
    with ExitStack() as opened:
        opened.enter_context(serving(cloud, tmp_path / "bin"))
        settings = {"common.bundle_dependencies": False}
        yield EphemeralStack(tmp_path / "run", "accept-test", "eu-west-1", settings, environment, command)


def cli_environment(folder: Path) -> dict[str, str]:

    (folder / "bin").mkdir()
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def target(stack: EphemeralStack, folder: Path) -> Target:
    return Target(stack.outputs(), stack.functions(), boto3.client, {}, folder / "dataset.toml", folder)


@pytest.fixture(autouse=True)
def nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)


def test_a_failed_step_is_told_and_everything_is_destroyed(stack: EphemeralStack, cloud: Cloud, tmp_path: Path) -> None:
    said: list[str] = []

    def fails(_: object) -> str:
        assert {"embedding_loader", "model_inference"} <= set(stack.functions())
        assert stack.outputs()["recommendations_bucket"]
        assert cloud.resources
        raise AcceptanceError("the job did not end")

    report = Report(said.append)
    assert not run(stack, lambda: target(stack, tmp_path), report, [("job", fails)])
    assert (report.passed, report.failed) == (["up", "outputs", "destroy"], ["job"])
    assert cloud.resources == {}
    assert any("✗ job" in line and "the job did not end" in line for line in said)


def test_an_up_that_fails_in_the_middle_is_destroyed(stack: EphemeralStack, cloud: Cloud, tmp_path: Path) -> None:
    cloud.fail_once = "vectors-postgres"
    report = Report(lambda _: None)
    assert not run(stack, lambda: target(stack, tmp_path), report, [])
    assert (report.passed, report.failed) == (["destroy"], ["up"])
    assert cloud.called("create")
    assert cloud.resources == {}


def test_a_run_that_is_interrupted_is_destroyed_and_stays_interrupted(
    stack: EphemeralStack, cloud: Cloud, tmp_path: Path
) -> None:
    def interrupted(_: object) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stack, lambda: target(stack, tmp_path), Report(lambda _: None), [("job", interrupted)])
    assert cloud.resources == {}


def test_what_the_environment_lacks_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def no_cli() -> None:
        raise FileNotFoundError("pulumi: not found")

    told = missing(no_cli)
    assert told is not None
    assert "\n" not in told
    for thing in ("the Pulumi CLI", "a region (AWS_REGION)", "AWS credentials (AWS_PROFILE"):
        assert thing in told


class Up:
    """A stack whose outputs nobody can read."""

    def up(self) -> str:
        return "up"

    def destroy(self) -> str:
        raise AcceptanceError("a bucket is left")


def test_what_fails_between_the_steps_fails_the_run_and_what_is_left_is_said_loudly() -> None:
    def unreadable() -> Target:
        raise KeyError("outputs")

    said: list[str] = []
    report = Report(said.append)
    assert not run(Up(), unreadable, report, [])
    assert report.failed == ["outputs", "destroy"]
    assert any("NOT DESTROYED" in line and "a bucket is left" in line for line in said)
