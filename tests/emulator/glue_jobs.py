"""The batch component deployed on MiniStack, with the Glue job under the role that it declares."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi

import components
import emulator.deploy  # noqa: F401  (registers what makes each resource type real)
from contracts.dataset_file import load
from contracts.mysql import Login
from emulator.deploy.cloud import Cloud
from emulator.deploy.monitor import LocalMocks, LocalMonitor
from emulator.deploy.resource import Resource
from emulator.glue.job import GlueJob, JobRun, run_job
from emulator.program import ROOT, Stack, run
from tests.emulator.aws import Aws, unique

GLUE = "glue.amazonaws.com"


@dataclass
class JobStack:
    """A `BatchPipeline` with its network and source, each under a name of its own."""

    aws: Aws
    login: Login
    folder: Path
    script: str = ""
    """Runs in place of the job's own script."""
    without: str = ""
    """An action that the job's role lacks."""
    reach: dict[str, str] = field(default_factory=dict)
    """The variables by which the job's process reaches AWS."""

    def __post_init__(self) -> None:
        cloud = Cloud(self.folder / "cloud", self.aws.ministack)
        mocks = LocalMocks(cloud, self._edit)
        stack = Stack(unique("stack"), {"aws:region": self.aws.ministack.region})
        outputs = run(self._program, mocks, LocalMonitor(mocks), stack)
        self.lake: str = outputs["lake"].value
        ((self.name, self.job),) = cloud.glue_jobs.items()
        self.role: str = self.job["roleArn"]
        self.runs = 0

    def _program(self) -> None:
        name = unique("job")
        network = components.Network(f"{name}-network", {})
        code = components.PrivateBucket(f"{name}-code", {"holds_data": False})
        source = components.SourceDatabase(
            f"{name}-source",
            {
                "settings": {
                    "host": self.login.host,
                    "port": self.login.port,
                    "database": self.login.database,
                    "username": self.login.username,
                },
                "password": self.login.password,
                "placement": network.placement,
                "code": code.reference,
            },
        )
        batch = components.BatchPipeline(
            name,
            {
                "placement": network.placement,
                "source": source.link,
                "code": code.reference,
                "dataset_file": "dataset.toml",
                "training_data_name": load(ROOT / "dataset.toml").name,
            },
        )
        pulumi.export("lake", batch.data_lake_bucket)

    def _edit(self, resource: Resource) -> Resource:
        inputs = dict(resource.inputs)
        if self.script and resource.type.endswith("BucketObjectv2") and resource.name.endswith("-script"):
            inputs |= {"source": None, "content": self.script}
        if self.without and resource.type == "aws:iam/rolePolicy:RolePolicy":
            inputs["policy"] = inputs["policy"].replace(f'"{self.without}"', '"s3:GetBucketTagging"')
        return replace(resource, inputs=inputs)

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    def run(self, **arguments: str) -> JobRun:
        self.runs += 1
        credentials = self.aws.ministack.assume_role(self.role, GLUE, "ratings")
        return run_job(
            GlueJob.declared(self.name, self.job),
            folder=self.folder / f"run-{self.runs}",
            environment=self.aws.ministack.environment(credentials),
            log=self.folder / f"run-{self.runs}.log",
            reach=self.reach,
            arguments={f"--{name}": value for name, value in arguments.items()},
            memory="1g",
        )

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.lake, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.lake, Key=key)["Body"].read()
        return body
