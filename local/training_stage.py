"""The training part of a run: it calls the data scientist's own command, from the data lake to published artifacts."""

import contextlib
import csv
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import artifacts
from emulator.deploy.cloud import Cloud
from emulator.errors import LocalRunError
from emulator.program import ROOT
from local.ahead import Command, started_ahead
from local.session import Deployment

NAMES = "item-names.csv"
"""The file with the items' names for the report."""
LOG = "training.log"


@dataclass(frozen=True)
class Trained:
    """A published model version."""

    version: str
    folder: Path
    """The folder in which training left the version's files."""
    metrics: dict[str, Any]

    def describe(self) -> str:
        """Returns the metrics in one line, beside those of every other way of recommending in the same run."""
        summaries = self.metrics["all"]
        stock = f"; {self.metrics['recommendable']:,} items can be recommended"
        if not summaries["model"]["cases"]:
            return f"two-tower model, not measured: no customer has the three liked items that it takes{stock}"
        reached = {name: summary["ndcg@10"] for name, summary in summaries.items()}
        others = ", ".join(f"{name} {value:.3f}" for name, value in reached.items() if name != "model")
        return f"two-tower model: NDCG@10 {reached['model']:.3f} ({others}){stock}"

    def remark(self) -> str:
        """Returns the gate's objections to the model; empty if there are none."""
        gate = self.metrics["gate"]
        return (
            "" if gate["passed"] else f"the gate refuses it, published to show the rest all the same: {gate['reason']}"
        )


def train_and_publish(
    deployment: Deployment,
    folder: Path,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
    epochs: int | None = None,
    command: Command | None = None,
) -> Trained:
    """Trains on the data lake and publishes to the bucket of artifacts. Raises `LocalRunError` if that fails.

    `epochs` limits the training, in place of the command's own default; `command` is the one that `command_ahead` gave.
    The gate's verdict is shown, but the model is published in any case, so that a run on ratings without a pattern
    shows the rest of the system too.
    """
    bucket = deployment.output("ml_artifacts_bucket")
    known = _versions(deployment, bucket)
    arguments = ["train", "--data", f"s3://{deployment.output('data_lake_bucket')}"]
    arguments += ["--dataset", str(deployment.dataset_file), "--output", f"s3://{bucket}"]
    arguments += ["--work", str(folder / "training"), "--seed", str(seed), "--force"]
    if (names := folder / NAMES).is_file():
        arguments += ["--names", str(names)]
    if epochs is not None:
        arguments += ["--epochs", str(epochs)]
    say("two-tower model")
    _training(deployment, arguments, folder, command)
    version = (_versions(deployment, bucket) - known).pop()
    body = deployment.cloud.client("s3").get_object(Bucket=bucket, Key=f"{version}/{artifacts.METRICS}")["Body"].read()
    return Trained(version, next((folder / "training").glob(f"*/{version}")), json.loads(body))


def write_names(folder: Path, names: Mapping[str, str]) -> None:
    with (folder / NAMES).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(names.items())


def publish_kept(deployment: Deployment, version: Path, folder: Path, command: Command) -> str:
    """Publishes a version that an earlier run left in its folder, and returns its name."""
    output = f"s3://{deployment.output('ml_artifacts_bucket')}"
    _training(deployment, ["publish", "--artifacts", str(version), "--output", output], folder, command)
    return version.name


def command_ahead(cloud: Cloud, folder: Path) -> contextlib.AbstractContextManager[Command]:
    """Starts the data scientist's command before there is anything to train on."""
    return started_ahead("training", folder / LOG, env=_environment(cloud), cwd=ROOT)


def _training(deployment: Deployment, arguments: list[str], folder: Path, ahead: Command | None) -> None:
    """Runs the data scientist's command, which may have been started ahead. Raises `LocalRunError` with its error."""
    with contextlib.ExitStack() as now:
        command = ahead or now.enter_context(command_ahead(deployment.cloud, folder))
        status = command.run(arguments)
    if status != 0:
        log = folder / LOG
        raise LocalRunError(f"training failed (exit {status}): {_said(log, command.log_begins)}\nlog {log}")


def _said(log: Path, began: int) -> str:
    """Returns the command's own error, which may take several lines, or the last line of the log."""
    with log.open("rb") as file:
        file.seek(began)
        text = file.read().decode(errors="replace").strip()
    _, found, own = text.rpartition("training: ")
    return own if found else (text.splitlines() or ["it said nothing"])[-1]


def _versions(deployment: Deployment, bucket: str) -> set[str]:
    listed = deployment.cloud.client("s3").list_objects_v2(Bucket=bucket, Delimiter="/")
    return {entry["Prefix"].rstrip("/") for entry in listed.get("CommonPrefixes", [])}


def _environment(cloud: Cloud) -> dict[str, str]:
    """Returns this process's environment without variables that could lead boto3 to a real account."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | cloud.aws.environment(cloud.aws.root)
