"""A Glue job with its code, connection, secret and role on MiniStack, as the program declares them."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.glue.job import GlueJob, JobRun, run_job
from emulator.ministack import MiniStack
from local.shop import Login
from tests.emulator.aws import Aws, Statement, allow, trust, unique

PROJECT = Path(__file__).parents[2]
GLUE = "glue.amazonaws.com"


@dataclass
class JobStack:
    """Everything that the ratings job needs, each under a name of its own."""

    aws: Aws
    login: Login
    folder: Path
    dataset: Path = PROJECT / "dataset.toml"
    script: str = (PROJECT / "etl" / "ratings_etl.py").read_text()
    runs: int = 0
    arguments: dict[str, str] = field(default_factory=dict)
    reach: dict[str, str] = field(default_factory=dict)
    """The variables by which the job's process reaches AWS."""

    def __post_init__(self) -> None:
        self.code, self.lake = unique("code"), unique("lake")
        for bucket in (self.code, self.lake):
            self.s3.create_bucket(Bucket=bucket)
        packages = self.folder / "packages.zip"
        with zipfile.ZipFile(packages, "w") as archive:
            for package in ("contracts", "etl"):
                for path in (PROJECT / package).rglob("*.[ph][yt]*"):
                    if path.suffix in {".py", ".html"}:
                        archive.write(path, path.relative_to(PROJECT))
        self.s3.upload_file(str(packages), self.code, "etl/packages.zip")
        self.s3.upload_file(str(self.dataset), self.code, "etl/dataset.toml")
        self.s3.put_object(Bucket=self.code, Key="etl/job.py", Body=self.script.encode())
        url = f"jdbc:mysql://{self.login.host}:{self.login.port}/{self.login.database}"
        login = {"url": url, "username": self.login.username, "password": self.login.password}
        self.s3.put_object(Bucket=self.code, Key="source/login.json", Body=json.dumps(login).encode())
        self.role = self.aws.role(trust(GLUE), *self.statements().values())

    @property
    def s3(self) -> Any:
        return self.client("s3")

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    @property
    def ministack(self) -> MiniStack:
        return self.aws.ministack

    def statements(self) -> dict[str, Statement]:
        """The job's least privilege."""
        lake = f"arn:aws:s3:::{self.lake}"
        return {
            "ReadCode": allow("s3:GetObject", f"arn:aws:s3:::{self.code}/etl/*"),
            "ListDataLake": allow("s3:ListBucket", lake),
            "ReplaceTrainingData": allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{lake}/*"),
            "ReadSourceLogin": allow("s3:GetObject", f"arn:aws:s3:::{self.code}/source/login.json"),
        }

    def run(self, **arguments: str) -> JobRun:
        self.runs += 1
        job = GlueJob(
            name="ratings",
            script_location=f"s3://{self.code}/etl/job.py",
            default_arguments={
                "--extra-py-files": f"s3://{self.code}/etl/packages.zip",
                "--enable-metrics": "true",
                "--login_uri": f"s3://{self.code}/source/login.json",
                "--dataset_uri": f"s3://{self.code}/etl/dataset.toml",
                "--data_lake_uri": f"s3://{self.lake}",
            },
            timeout=5,
        )
        credentials = self.ministack.assume_role(self.role, GLUE, "ratings")
        return run_job(
            job,
            folder=self.folder / f"run-{self.runs}",
            environment=self.ministack.environment(credentials),
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
