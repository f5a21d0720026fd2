"""Runs a Glue job: its script and packages come from S3, and its process holds its role's credentials and no others."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.process import run_to_end
from emulator.requirements import JAVA_HOME, JDBC_DRIVER

RUNTIME = Path(__file__).parent / "runtime"
NO_WAY = "Could not connect to the endpoint URL"
"""The text of botocore's error for a service that the job's subnet does not reach."""
_RESERVED = ("--extra-py-files",)
"""Arguments for Glue itself, which the script does not get."""

_EXCEPTION = re.compile(r"^[\w.]+(?:Error|Exception)\b(?=:)", re.MULTILINE)
"""The line of a Python traceback that names the exception."""
_CLASS = re.compile(r"^[\w.]+\.(?=\w+(?:Error|Exception): )")
"""The module of an exception, which does not help the reader of the message."""


@dataclass(frozen=True)
class GlueJob:
    """The settings of an `aws.glue.Job` that a run needs. `timeout` in minutes, as in Glue."""

    name: str
    script_location: str
    default_arguments: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 60

    @classmethod
    def declared(cls, name: str, resource: Resource) -> "GlueJob":
        """Reads the job from its resource."""
        script, arguments = resource["command"]["scriptLocation"], resource["defaultArguments"]
        return cls(name, script, arguments, int(resource["timeout"]))


@dataclass(frozen=True)
class JobRun:
    """A finished run."""

    seconds: float
    log: Path


def run_job(
    job: GlueJob,
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    reach: Mapping[str, str] | None = None,
    arguments: Mapping[str, str] | None = None,
    cores: int = 2,
    memory: str = "2g",
) -> JobRun:
    """Runs the job to its end. `arguments` override its default arguments, as those of `StartJobRun` do.

    `environment` names AWS's endpoint and holds the role's credentials (`MiniStack.environment`); the process gets no
    others. For a job in a subnet, `reach` holds the variables by which it reaches AWS (`Cloud.reach`). `folder` must
    belong to this run: script, scratch files and settings lie there. Raises `LocalRunError`, with the cause and the
    log's place, if the job fails or takes longer than its timeout.
    """
    started = time.monotonic()
    run = _Run(job, folder, environment)
    given = {**job.default_arguments, **(arguments or {})}
    script = run.download(job.script_location)
    packages = [run.download(uri) for uri in given.get("--extra-py-files", "").split(",") if uri]
    settings = run.write_settings(cores, memory)
    passed = {"--JOB_NAME": job.name} | {key: value for key, value in given.items() if key not in _RESERVED}
    command = [sys.executable, "-P", "-m", "runtime.launch", str(settings), str(script)]
    command += [part for argument in passed.items() for part in argument]
    run.execute(command, {**run.environment(packages), **(reach or {})}, log)
    return JobRun(time.monotonic() - started, log)


class _Run:
    def __init__(self, job: GlueJob, folder: Path, aws_environment: Mapping[str, str]) -> None:
        self.job = job
        self.folder = folder
        self.aws_environment = aws_environment
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.s3: Any = boto3.session.Session().client(
            "s3",
            region_name=aws_environment["AWS_REGION"],
            endpoint_url=aws_environment["AWS_ENDPOINT_URL"],
            verify=aws_environment["AWS_CA_BUNDLE"],
            aws_access_key_id=aws_environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws_environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=aws_environment["AWS_SESSION_TOKEN"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def download(self, uri: str) -> Path:
        """Downloads an object as the job's role, as Glue does before it starts the script."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        target = self.folder / Path(key).name
        try:
            self.s3.download_file(bucket, key, str(target))
        except ClientError as error:
            raise LocalRunError(f"Glue job {self.job.name}: its role cannot read {uri}: {error}") from error
        return target

    def write_settings(self, cores: int, memory: str) -> Path:
        path = self.folder / "settings.json"
        settings = {"folder": str(self.folder), "cores": cores, "memory": memory, "jdbc_driver": str(JDBC_DRIVER)}
        path.write_text(json.dumps(settings))
        return path

    def environment(self, packages: Sequence[Path]) -> dict[str, str]:
        """Returns the whole environment of the job's process: the role's credentials, and nothing else of this
        machine."""
        return (
            {"PATH": os.environ["PATH"]}
            | dict(self.aws_environment)
            | {
                "JAVA_HOME": str(JAVA_HOME),
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(map(str, [*packages, RUNTIME, RUNTIME.parent])),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_LOCAL_DIRS": str(self.folder),
            }
        )

    def execute(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        try:
            status = run_to_end(command, log, env=environment, cwd=self.folder, timeout=self.job.timeout * 60)
        except subprocess.TimeoutExpired:
            raise LocalRunError(
                f"Glue job {self.job.name}: expected an end within its timeout of {self.job.timeout} min; log {log}"
            ) from None
        if status != 0:
            raise LocalRunError(f"Glue job {self.job.name} failed (exit {status}): {_cause(log)}\nlog {log}")


def _cause(log: Path) -> str:
    """Returns the cause that the log names: the first refusal (IAM, network), or Java's root cause, or Python's error.

    An error of the job's own script may take several lines, up to the log's end.
    """
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip().removeprefix(": ") for line in text.splitlines()]
    refusals = [line for line in lines if "AccessDenied" in line or NO_WAY in line]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    raised = list(_EXCEPTION.finditer(text))
    own = text[raised[-1].start() :].strip() if raised and "Py4JJavaError" not in raised[-1][0] else ""
    found = (refusals[:1] or [own] * bool(own) or causes[-1:] or lines[-1:] or ["(no log)"])[0]
    return _CLASS.sub("", found)
