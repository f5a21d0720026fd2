"""The batch part of a run: the Glue job under its role, and the crawler that its success starts."""

import contextlib
import time
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contracts import dataset, training_data
from emulator.crawler import crawl
from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.glue.job import GlueJob, run_job
from emulator.process import log_tail
from local.session import Deployment

JOB_LOG_GROUP, CRAWLER_LOG_GROUP = "/aws-glue/jobs/output", "/aws-glue/crawlers"
QUALITY_FOLDER = "quality"
GLUE_SERVICE = "glue.amazonaws.com"


def run_glue_job(deployment: Deployment, folder: Path) -> str:
    """Runs the program's Glue job on local Spark. Raises `LocalRunError` with the cause where it fails."""
    cloud = deployment.cloud
    name: str = deployment.output("glue_job_name")
    resource = deployment.glue_job()
    job = GlueJob(
        name=name,
        script_location=resource["command"]["scriptLocation"],
        default_arguments=resource["defaultArguments"],
        connections=resource["connections"],
        timeout=int(resource["timeout"]),
    )
    credentials = cloud.aws.assume_role(resource["roleArn"], GLUE_SERVICE, name, cloud.arn("glue", f"job/{name}"))
    environment = cloud.aws.environment(credentials)
    log = folder / "glue-job.log"
    try:
        run_job(job, folder=folder / "glue", environment=environment, log=log)
    except LocalRunError as error:
        copied = copy_quality(deployment, folder)
        where = f"\nquality report and rejected rows: {folder / QUALITY_FOLDER}" if copied else ""
        raise LocalRunError(f"{error}{where}") from error
    _write_log(cloud.aws.client("logs", credentials), JOB_LOG_GROUP, name, log_tail(log, 200))
    copy_quality(deployment, folder)
    return _describe(deployment)


def copy_quality(deployment: Deployment, folder: Path) -> int:
    """Copies quality reports and rejected rows into the run's folder: the emulated S3 ends with the run."""
    s3, bucket, copied = deployment.cloud.client("s3"), deployment.output("data_lake_bucket"), 0
    for prefix in (training_data.QUALITY, training_data.QUARANTINE):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for key in [entry["Key"] for entry in page.get("Contents", []) if entry["Size"]]:
                target = folder / QUALITY_FOLDER / key
                target.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(target))
                copied += 1
    return copied


def _write_log(logs: Any, group: str, name: str, text: str) -> None:
    """Puts a text into CloudWatch Logs as Glue does, under the role of the job or crawler. Raises `LocalRunError`."""
    stream = f"{name}-{uuid.uuid4().hex}"
    try:
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": text or "(nothing)"}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    except ClientError as error:
        raise LocalRunError(f"{name}: Glue may not write its log under the role: {error}") from error


def _describe(deployment: Deployment) -> str:
    bucket, folder = deployment.output("data_lake_bucket"), dataset.load(deployment.dataset_file).name
    marker = deployment.cloud.client("s3").get_object(Bucket=bucket, Key=f"{folder}/{training_data.SUCCESS_MARKER}")
    content = training_data.read_marker(marker["Body"].read().decode())
    folders = {file.rsplit("/", 1)[0] for file in content.files}
    return f"{content.rows:,} training rows in {len(folders):,} folders"


def run_crawler(deployment: Deployment) -> str:
    """Runs the crawler that the job's success starts, by the program's own trigger."""
    cloud = deployment.cloud
    started = [
        action["crawlerName"]
        for trigger in cloud.glue_triggers.values()
        for action in trigger["actions"]
        if _follows(trigger, deployment.output("glue_job_name")) and "crawlerName" in action
    ]
    if not started:
        raise LocalRunError("the program declares no trigger that starts a crawler when the Glue job succeeds")
    tables = []
    for name in started:
        crawler = cloud.crawlers[name]
        role = cloud.aws.role(crawler["role"], GLUE_SERVICE, name, cloud.arn("glue", f"crawler/{name}"))
        tables += [crawl(role.client, target["path"], crawler["databaseName"]) for target in crawler["s3Targets"]]
        _write_log(role.client("logs"), CRAWLER_LOG_GROUP, name, f"{len(tables)} tables")
    return ", ".join(f"table {table.name} with {table.n_partitions} partitions" for table in tables)


def _follows(trigger: Resource, job_name: str) -> bool:
    conditions = (trigger.get("predicate") or {}).get("conditions", [])
    return any(entry.get("jobName") == job_name and entry.get("state") == "SUCCEEDED" for entry in conditions)
