"""Batch: a Glue job that writes training data from the shop's MySQL to a data lake, and the Glue catalog over it."""

from enum import StrEnum
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_range, check_text
from components.data_catalog import ATHENA_PREFIX, crawl_after_job, crawler_of, workgroup_of
from components.glue import LIST_BUCKET, catalog_arn, glue_role, job_logs, network_connection, network_statements
from components.iam import Link, Statement, use_key
from components.network import PlacementArgs
from components.packaging import ROOT, package_zip
from components.private_bucket import BucketReference, PrivateBucket

GLUE_VERSION = "5.1"
JOB_SCRIPT = ROOT / "etl" / "ratings_etl.py"


WORKERS = (2, 299)
TIMEOUT_MINUTES = (1, 7 * 24 * 60)
"""Limits of Glue's CreateJob."""
CRON = r"cron\([^ ()]+( [^ ()]+){5}\)"
"""Glue Developer Guide, "Time-based schedules for jobs and crawlers"."""


class WorkerType(StrEnum):
    """Glue's workers for Spark."""

    G_1X = "G.1X"
    """4 vCPU, 16 GB."""
    G_2X = "G.2X"
    G_4X = "G.4X"
    G_8X = "G.8X"
    R_1X = "R.1X"
    """4 vCPU, 32 GB."""
    R_2X = "R.2X"
    R_4X = "R.4X"
    R_8X = "R.8X"


FLEX_WORKERS = (WorkerType.G_1X, WorkerType.G_2X)
"""The worker types that flexible execution accepts (Glue Developer Guide, "Jobs API": ExecutionClass)."""


class BatchPipelineSettings(TypedDict, total=False):
    """Settings of the batch, as given under `recommender:batch` in the stack's configuration."""

    worker_type: WorkerType
    """`G.1X` (4 vCPU, 16 GB), `G.2X`, `G.4X`, `G.8X`, or `R.1X` to `R.8X` with twice the memory."""
    workers: int
    """Workers of the job, 2 to 299."""
    timeout_minutes: int
    """Minutes after which Glue ends a run, 1 to 10,080; Glue's own default is 48 hours."""
    flex: bool
    """True runs the job on spare capacity (FLEX): a third cheaper, but it may wait for minutes to start. Only with
    `G.1X` and `G.2X`."""
    schedule: str
    """The times at which the job starts by itself, for instance `cron(0 3 * * ? *)` (UTC). Default: no schedule."""


BATCH_DEFAULTS: BatchPipelineSettings = {
    "worker_type": WorkerType.G_1X,
    "workers": WORKERS[0],
    "timeout_minutes": 60,
    "flex": False,
}


class BatchPipelineArgs(TypedDict):
    """The job's size, its network, its source, its code, and what it writes."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[BatchPipelineSettings]
    placement: PlacementArgs
    source: Link
    """The source database. Its variable `login_uri` is the `s3://…` URI of a JSON object with `url`, `username` and
    `password`."""
    code: BucketReference
    """The bucket that the job's code is uploaded to."""
    dataset_file: str
    """The path of dataset.toml, relative to the project."""
    training_data_name: str
    """The folder of the training data, as dataset.toml names it."""


class BatchPipeline(Component):
    """MySQL → Glue → S3 data lake."""

    data_lake_bucket: pulumi.Output[str]
    glue_job_name: pulumi.Output[str]
    glue_database_name: pulumi.Output[str]
    crawler_name: pulumi.Output[str]
    athena_workgroup_name: pulumi.Output[str]
    """The Athena workgroup in which data scientists query the training data."""

    def __init__(self, name: str, args: BatchPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = BATCH_DEFAULTS | args.get("settings", {})
        _check(settings)
        lake = PrivateBucket(
            f"{name}-data-lake",
            # A query's results can be made again: run the query again.
            {"common": self.common, "expire_days": 30, "expire_prefix": ATHENA_PREFIX},
            self.child,
        )
        database = aws.glue.CatalogDatabase(
            f"{name}-catalog", description="Training data of the recommender", tags=self.tags, opts=self.child
        )
        connection = network_connection(self, name, args["placement"], args["source"])
        job = self._job(name, args, settings, lake, database, connection)
        crawler = crawler_of(self, name, args["training_data_name"], lake, database)
        self.data_lake_bucket = lake.name
        self.glue_job_name = job.name
        self.glue_database_name = database.name
        self.crawler_name = crawler.name
        self.athena_workgroup_name = workgroup_of(self, name, lake).name
        crawl_after_job(self, name, job, crawler)
        if "schedule" in settings:
            self._schedule(name, settings["schedule"], job)
        self.register_attributes()

    def _job(
        self,
        name: str,
        args: BatchPipelineArgs,
        settings: BatchPipelineSettings,
        lake: PrivateBucket,
        database: aws.glue.CatalogDatabase,
        connection: aws.glue.Connection,
    ) -> aws.glue.Job:
        script = self._upload(f"{name}-script", args, JOB_SCRIPT)
        packages = self._upload(f"{name}-packages", args, package_zip("contracts", "etl"))
        dataset = self._upload(f"{name}-dataset", args, ROOT / args["dataset_file"])
        statements: list[Statement] = [
            {
                "sid": "ReadCode",
                "actions": ["s3:GetObject"],
                "resources": [pulumi.Output.concat(args["code"]["arn"], "/etl/*")],
            },
            {
                "sid": "ListDataLake",
                "actions": LIST_BUCKET,
                "resources": [lake.arn],
            },
            {
                "sid": "ReplaceTrainingData",
                # Glue's committer for S3 uploads in parts, and aborts the uploads of a failed task.
                "actions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                "resources": [pulumi.Output.concat(lake.arn, "/*")],
            },
            {
                "sid": "ReadConnection",
                "actions": ["glue:GetConnection"],
                "resources": [connection.arn, catalog_arn(database)],
            },
            *args["source"]["statements"],
            *network_statements(self),
            {
                "sid": "WriteMetrics",
                "actions": ["cloudwatch:PutMetricData"],
                # CloudWatch has no resource level for it; its namespace is a condition.
                "resources": ["*"],
                "conditions": {"StringEquals": {"cloudwatch:namespace": "Glue"}},
            },
            *use_key(self.kms_key_arn, write=True),
        ]
        logs_prefix, log_groups = job_logs(self, name)
        role = glue_role(self, f"{name}-job", [group.arn for group in log_groups], statements)
        return aws.glue.Job(
            f"{name}-ratings",
            description="Joins ratings with customers and products into training data",
            role_arn=role.arn,
            glue_version=GLUE_VERSION,
            command={"name": "glueetl", "python_version": "3", "script_location": script},
            worker_type=settings["worker_type"],
            number_of_workers=settings["workers"],
            timeout=settings["timeout_minutes"],
            # A run replaces what was there or changes nothing, so that trying again is safe.
            max_retries=1,
            execution_class="FLEX" if settings["flex"] else "STANDARD",
            # Two runs at once would replace each other's data.
            execution_property={"max_concurrent_runs": 1},
            connections=[connection.name],
            default_arguments={
                "--enable-metrics": "true",
                "--custom-logGroup-prefix": logs_prefix,
                "--enable-job-insights": "true",
                # Over JDBC, bookmarks find new rows but not changed ones, so the job replaces the data instead.
                "--job-bookmark-option": "job-bookmark-disable",
                "--extra-py-files": packages,
                **{f"--{argument}": value for argument, value in args["source"]["variables"].items()},
                "--dataset_uri": dataset,
                "--data_lake_uri": pulumi.Output.concat("s3://", lake.name),
            },
            tags=self.tags,
            opts=self.child,
        )

    def _schedule(self, name: str, schedule: str, job: aws.glue.Job) -> None:
        aws.glue.Trigger(
            f"{name}-schedule",
            type="SCHEDULED",
            schedule=schedule,
            actions=[{"job_name": job.name}],
            tags=self.tags,
            opts=self.child,
        )

    def _upload(self, name: str, args: BatchPipelineArgs, path: Path) -> pulumi.Output[str]:
        uploaded = aws.s3.BucketObjectv2(
            name,
            bucket=args["code"]["name"],
            key=f"etl/{path.name}",
            source=pulumi.FileAsset(str(path)),
            opts=self.child,
        )
        return pulumi.Output.concat("s3://", uploaded.bucket, "/", uploaded.key)


def _check(settings: BatchPipelineSettings) -> None:
    check_range("BatchPipeline", "workers", settings["workers"], WORKERS)
    check_range("BatchPipeline", "timeout_minutes", settings["timeout_minutes"], TIMEOUT_MINUTES)
    check_text("BatchPipeline", "schedule", settings.get("schedule"), CRON, "six fields such as cron(0 3 * * ? *)")
    worker_type = settings["worker_type"]
    if settings["flex"] and worker_type not in FLEX_WORKERS:
        raise ValueError(f"BatchPipeline: flex: expected worker_type {' or '.join(FLEX_WORKERS)}, got {worker_type}")
