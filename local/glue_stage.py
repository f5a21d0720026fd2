"""The batch part of a run: the Glue job under its role, and the crawler that its success starts."""

import contextlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contracts import dataset_file, training_data
from emulator.crawler import crawl
from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.glue.job import GlueJob, run_job
from emulator.glue.network import attach_to_vpc
from emulator.glue.triggers import crawlers, fired_by_job
from emulator.ministack import Role
from emulator.permissions import role_may
from emulator.process import log_tail
from local.session import Deployment

CRAWLER_LOG_GROUP = "/aws-glue/crawlers"
DEFAULT_LOG_PREFIX = "/aws-glue/jobs"
QUALITY_FOLDER = "quality"
GLUE_SERVICE = "glue.amazonaws.com"
EVENT_SECONDS = 20.0
"""The longest wait, in seconds, for the deliveries that follow the job's end."""


def run_glue_job(deployment: Deployment, folder: Path) -> str:
    """Runs the program's Glue job on local Spark, as `start-job-run` does. Raises `LocalRunError` with the cause."""
    cloud = deployment.cloud
    name: str = deployment.output("glue_job_name")
    resource = deployment.glue_job()
    job = GlueJob.declared(name, resource)
    role = cloud.aws.role(resource["roleArn"], GLUE_SERVICE, name, cloud.arn("glue", f"job/{name}"))
    try:
        reach = _connect(deployment, name, resource["connections"], role)
        environment = cloud.aws.environment(role.credentials())
        log = folder / "glue-job.log"
        run_job(job, folder=folder / "glue", environment=environment, log=log, reach=reach)
        group = job.default_arguments.get("--custom-logGroup-prefix", DEFAULT_LOG_PREFIX) + "/output"
        _write_log(role.client("logs"), group, name, log_tail(log, 200))
        _write_metrics(cloud.aws, job, role.arn)
    except LocalRunError as error:
        _tell(deployment, name, "FAILED")
        copied = copy_quality(deployment, folder)
        where = f"\nquality report and rejected rows: {folder / QUALITY_FOLDER}" if copied else ""
        raise LocalRunError(f"{error}{where}") from error
    _tell(deployment, name, "SUCCEEDED")
    copy_quality(deployment, folder)
    return _describe(deployment)


def _connect(deployment: Deployment, job: str, connections: Sequence[str], role: Role) -> dict[str, str]:
    """Reads the job's connections as Glue does, under the job's role. Returns the variables by which the job then
    reaches AWS."""
    reach: dict[str, str] = {}
    for connection in connections:
        try:
            role.client("glue").get_connection(Name=connection)
        except ClientError as error:
            raise LocalRunError(f"Glue job {job}: its role cannot read the connection: {error}") from error
        attach_to_vpc(deployment.cloud.aws, job, role.arn)
        place = deployment.cloud.glue_connections[connection]["physicalConnectionRequirements"]
        groups = {"subnetIds": [place["subnetId"]], "securityGroupIds": place["securityGroupIdLists"]}
        reach |= deployment.cloud.reach(groups)
    return reach


def _write_metrics(ministack: Any, job: GlueJob, role_arn: str) -> None:
    """Checks that the job's role may put metrics if `--enable-metrics` asks for them. Raises `LocalRunError`."""
    action, context = "cloudwatch:PutMetricData", {"cloudwatch:namespace": "Glue"}
    if "--enable-metrics" in job.default_arguments and not role_may(ministack, role_arn, action, "*", context=context):
        raise LocalRunError(f"Glue job {job.name}: AccessDenied: --enable-metrics: its role may not {action}")


def _tell(deployment: Deployment, job_name: str, state: str) -> None:
    """Emits the event of a job's end (Amazon EventBridge Events Reference, "AWS Glue events")."""
    detail = {"jobName": job_name, "state": state, "jobRunId": f"jr_{uuid.uuid4().hex}"}
    deployment.cloud.event_rules.emit("aws.glue", "Glue Job State Change", detail)


def copy_quality(deployment: Deployment, folder: Path) -> int:
    """Copies quality reports and rejected rows into the run's folder, because the emulated S3 ends with the run."""
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
    """Writes a text to CloudWatch Logs as Glue does, under the role of the job or crawler. Raises `LocalRunError`."""
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
    bucket, folder = deployment.output("data_lake_bucket"), dataset_file.load(deployment.dataset_file).name
    marker = deployment.cloud.client("s3").get_object(Bucket=bucket, Key=f"{folder}/{training_data.SUCCESS_MARKER}")
    content = training_data.read_marker(marker["Body"].read().decode())
    folders = {file.rsplit("/", 1)[0] for file in content.files}
    return f"{content.rows:,} training rows in {len(folders):,} folders"


def run_crawler(deployment: Deployment) -> str:
    """Runs the crawler that the job's success started. Raises `LocalRunError` if nothing started one."""
    return crawl_by(deployment, _started(deployment))


def crawl_by(deployment: Deployment, names: list[str]) -> str:
    """Runs some of the program's crawlers, each in its role."""
    cloud, tables = deployment.cloud, []
    for name in names:
        crawler = cloud.crawlers[name]
        role = cloud.aws.role(crawler["role"], GLUE_SERVICE, name, cloud.arn("glue", f"crawler/{name}"))
        tables += [crawl(role.client, target["path"], crawler["databaseName"]) for target in crawler["s3Targets"]]
        _write_log(role.client("logs"), CRAWLER_LOG_GROUP, name, f"{len(tables)} tables")
    return ", ".join(f"table {table.name} with {table.n_partitions} partitions" for table in tables)


def _started(deployment: Deployment) -> list[str]:
    """Returns the crawlers that the job's last success started, by EventBridge or by a Glue trigger."""
    cloud, job = deployment.cloud, deployment.output("glue_job_name")
    triggers: list[Resource] = list(cloud.glue_triggers.values())
    started = crawlers(fired_by_job(triggers, job, "SUCCEEDED", started_by_trigger=False))
    if any(trigger["type"] == "EVENT" for trigger in triggers):
        last = cloud.event_rules.wait_idle(EVENT_SECONDS, at_least=1, service="glue")[-1]
        if last.error:
            raise LocalRunError(f"the Glue job's success starts no crawler: {last.error}")
        started += last.response
    if not started:
        raise LocalRunError(
            "nothing starts a crawler when a Glue job succeeds that was started by start-job-run: expected a rule of "
            "EventBridge's for its success; a conditional trigger fires only for jobs that a trigger started"
        )
    return started
