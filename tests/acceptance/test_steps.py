"""The acceptance run's own steps, pointed at the local run: what follows `up` on AWS follows it here."""

import re
from pathlib import Path

from acceptance import run as acceptance
from acceptance.report import Report
from emulator.program import read_stack
from local.session import deploy, running_services
from local.streaming import Streaming
from tests.acceptance.local_target import local_target
from tests.local.harness import QUICK


class Up:
    """A stack that is up already; it remembers whether it was taken down."""

    gone = False

    def up(self) -> str:
        return "up"

    def destroy(self) -> str:
        self.gone = True
        return "gone"


def test_every_step_after_up_passes_on_this_machine(run_folder: Path) -> None:
    said: list[str] = []
    stack = Up()
    with running_services(run_folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", {**QUICK, "source.sample_shop": True}))
        with Streaming(deployment):
            passed = acceptance.run(stack, lambda: local_target(deployment, run_folder), Report(said.append))
    text = "\n".join(said)
    assert passed, text
    assert stack.gone
    assert "1,000 of 1,000 events came back by" in text
    assert re.search(r"an item has left its buyer's recommendations \d+ s later", text)
    first, second = re.findall(r"version (\S+) is active\n", text)
    assert first != second
    assert f"50 of 50 events came back by {second}" in text
    assert f"version {first} is active again" in text
    assert f"50 of 50 events came back by {first}" in text
    assert re.search(r"cost: about \$\d+\.\d\d by list prices", said[-1])
