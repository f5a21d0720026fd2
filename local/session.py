"""One local run: starts the services, deploys the program on them, and stops everything at the end."""

import contextlib
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import emulator.deploy  # noqa: F401  (registers what makes each resource type real)
from emulator.deploy.api import check_calls
from emulator.deploy.cloud import Cloud, DatabaseInstance
from emulator.deploy.monitor import Edit, LocalMocks, LocalMonitor, Registered
from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.ministack import MiniStack
from emulator.program import ROOT, Stack, run_program


@dataclass(frozen=True)
class Deployment:
    """The program as it was deployed on this machine."""

    cloud: Cloud
    stack: Stack
    resources: list[Registered]
    outputs: dict[str, Any]
    """The stack's outputs. Secrets are in clear text, so never print it whole."""

    @property
    def dataset_file(self) -> Path:
        """The dataset specification of the stack."""
        return ROOT / self.stack.config.get("recommender:dataset_file", "dataset.toml")

    @property
    def n_realised(self) -> int:
        return sum(registered.realised for registered in self.resources)

    def output(self, name: str) -> Any:
        """Returns an output. Raises `LocalRunError` if the program exports no such output."""
        if name not in self.outputs:
            raise LocalRunError(
                f"stack output {name}: the program does not export it; it exports {', '.join(sorted(self.outputs))}"
            )
        return self.outputs[name]

    def database(self, engine: str) -> DatabaseInstance | None:
        """Returns the RDS instance of an engine (`postgres`, `mysql`), if the program declares one."""
        return self.cloud.databases.get(engine)

    def glue_job(self) -> Resource:
        name = self.output("glue_job_name")
        if name not in self.cloud.glue_jobs:
            raise LocalRunError(
                f"stack output glue_job_name: expected one of {', '.join(self.cloud.glue_jobs)}, found {name!r}"
            )
        return self.cloud.glue_jobs[name]

    def function(self, source: str) -> tuple[str, Resource]:
        """Returns the name and the declaration of the function that runs a folder of `functions/`."""
        for name, resource in self.cloud.functions.items():
            if resource["handler"].split(".")[1] == source:
                return name, resource
        raise LocalRunError(f"functions/{source}: the program declares no function that runs it")


@contextlib.contextmanager
def running_services(folder: Path, region: str) -> Iterator[Cloud]:
    """Starts the emulated AWS, empty. At the end it is stopped, with every database made since."""
    folder.mkdir(parents=True, exist_ok=True)
    # It holds customers' data. The databases, run as users of their own if this is root, keep their data elsewhere.
    folder.chmod(0o700)
    ministack = MiniStack(folder / "aws", folder / "ministack.log", region)
    cloud = Cloud(folder, ministack)
    try:
        with terminated_as_interrupt():
            ministack.start()
            yield cloud
    finally:
        cloud.schedules.stop()
        cloud.event_rules.stop()
        for engine, instance in cloud.databases.items():
            instance.server.stop()
            # The data is most of a run's size, and its passwords are of no use after the run. The logs beside it stay.
            shutil.rmtree(folder / engine / "data", ignore_errors=True)
        ministack.stop()


def deploy(cloud: Cloud, stack: Stack, edit: Edit = lambda resource: resource) -> Deployment:
    """Runs the program and makes its resources real. Raises the errors of the program and the realisers.

    `edit` may change a resource before it is made, as a mistake in a component would.
    """
    mocks = LocalMocks(cloud, edit)
    outputs = run_program(mocks, LocalMonitor(mocks), stack)
    cloud.event_rules.check_topics()
    check_calls(cloud)
    cloud.event_rules.start()
    return Deployment(cloud, stack, mocks.registered, outputs)


@contextlib.contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Turns SIGTERM into the exception that Ctrl-C raises, so that a killed run stops its services too."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # Only the main thread can handle signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
