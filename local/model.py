"""The training part of a run: the data scientist's own command, from the data lake to published artifacts."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import artifacts
from emulator.errors import LocalRunError
from emulator.process import log_tail, run_to_end
from emulator.program import ROOT
from local.session import Deployment


@dataclass(frozen=True)
class Trained:
    """A published model version."""

    version: str
    metrics: dict[str, Any]

    def describe(self) -> str:
        """The metrics in a line: what every other way of recommending reached in the same run, too."""
        reached = {name: summary["ndcg@10"] for name, summary in self.metrics["all"].items()}
        others = ", ".join(f"{name} {value:.3f}" for name, value in reached.items() if name != "model")
        return f"two-tower model: NDCG@10 {reached['model']:.3f} ({others})"

    def remark(self) -> str:
        """What the gate has against the model; empty where it has nothing."""
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
) -> Trained:
    """Trains on the data lake and publishes to the bucket of artifacts. Raises `LocalRunError` where that fails.

    `epochs` is the most that it trains, where it is not to be the command's own default.
    The gate's verdict is shown, not obeyed: a run on ratings without a pattern shows the rest of the system too.
    """
    cloud = deployment.cloud
    bucket = deployment.output("ml_artifacts_bucket")
    known = _versions(deployment, bucket)
    log = folder / "training.log"
    command = [sys.executable, "-m", "training", "train", "--data", f"s3://{deployment.output('data_lake_bucket')}"]
    command += ["--dataset", str(deployment.dataset_file), "--output", f"s3://{bucket}"]
    command += ["--work", str(folder / "training"), "--seed", str(seed), "--force"]
    if epochs is not None:
        command += ["--epochs", str(epochs)]
    say("two-tower model")
    environment = _own_environment() | cloud.aws.environment(cloud.aws.root)
    status = run_to_end(command, log, env=environment, cwd=ROOT)
    if status != 0:
        raise LocalRunError(f"training failed (exit {status}); log {log}, its end:\n{log_tail(log)}")
    version = (_versions(deployment, bucket) - known).pop()
    body = cloud.client("s3").get_object(Bucket=bucket, Key=f"{version}/{artifacts.METRICS}")["Body"].read()
    return Trained(version, json.loads(body))


def _versions(deployment: Deployment, bucket: str) -> set[str]:
    listed = deployment.cloud.client("s3").list_objects_v2(Bucket=bucket, Delimiter="/")
    return {entry["Prefix"].rstrip("/") for entry in listed.get("CommonPrefixes", [])}


def _own_environment() -> dict[str, str]:
    """This process's environment without what would lead boto3 to a real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
