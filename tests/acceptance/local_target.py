"""The acceptance run's target on this machine: the local run stands for the account."""

import itertools
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acceptance.target import Target
from local import glue_stage
from local.session import Deployment

FUNCTIONS = ("embedding_loader", "model_inference", "stream_transformation")


def local_target(deployment: Deployment, folder: Path) -> Target:
    aws = deployment.cloud.aws
    services = {"glue": Glue(deployment, folder), "cloudwatch": CloudWatch(deployment)}
    return Target(
        outputs=deployment.outputs,
        functions={source: deployment.function(source)[0] for source in FUNCTIONS},
        client=lambda service: services.get(service) or deployment.cloud.client(service),
        environment=_own_environment() | aws.environment(aws.root),
        dataset_file=deployment.dataset_file,
        folder=folder,
        training=("--epochs", "2"),
        patience=0.3,
    )


class Glue:
    """Runs the job and the crawler as the local run does; the catalogue is the emulator's own."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self._numbers = itertools.count()
        self._runs: dict[str, dict[str, str]] = {}

    def start_job_run(self, JobName: str) -> dict[str, str]:
        run = f"run-{next(self._numbers)}"
        self._runs[run] = {"JobRunState": "RUNNING"}
        threading.Thread(target=self._run, args=(run,), daemon=True).start()
        return {"JobRunId": run}

    def _run(self, run: str) -> None:
        try:
            glue_stage.run_glue_job(self._deployment, self._folder)
            glue_stage.run_crawler(self._deployment)
            self._runs[run] = {"JobRunState": "SUCCEEDED"}
        except Exception as error:
            self._runs[run] = {"JobRunState": "FAILED", "ErrorMessage": str(error)}

    def get_job_run(self, JobName: str, RunId: str) -> dict[str, Any]:
        return {"JobRun": self._runs[RunId]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deployment.cloud.client("glue"), name)


class CloudWatch:
    """The alarms that the program declares; one rings soon after it was asked for, for nothing here measures."""

    def __init__(self, deployment: Deployment) -> None:
        self._alarms = [
            registered.resource.inputs
            for registered in deployment.resources
            if registered.resource.type == "aws:cloudwatch/metricAlarm:MetricAlarm"
        ]
        self._asked = time.monotonic()

    def describe_alarms_for_metric(
        self,
        MetricName: str,
        Namespace: str,
        Dimensions: list[Mapping[str, str]],
    ) -> dict[str, Any]:
        wanted = {entry["Name"]: entry["Value"] for entry in Dimensions}
        found = [
            alarm
            for alarm in self._alarms
            if (alarm["metricName"], alarm["namespace"], alarm["dimensions"]) == (MetricName, Namespace, wanted)
        ]
        assert all(alarm["alarmActions"] for alarm in found)
        return {"MetricAlarms": [{"AlarmName": "loader-errors"} for _ in found]}

    def describe_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        state = "ALARM" if time.monotonic() - self._asked > 1 else "OK"
        return {"MetricAlarms": [{"StateValue": state, "StateUpdatedTimestamp": datetime.now(UTC)}]}

    def describe_alarm_history(
        self,
        AlarmName: str,
        HistoryItemType: str,
        StartDate: datetime,
    ) -> dict[str, Any]:
        return {"AlarmHistoryItems": [{"HistorySummary": "Successfully executed action"}]}


def _own_environment() -> dict[str, str]:
    """This process's environment without what would lead boto3 to a real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
