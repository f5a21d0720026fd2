"""Batch: a Glue job that writes training data from the shop's MySQL to a data lake, and the Glue catalog over it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, check_range, check_text, common, log_retention
from components.iam import ScopedRole, Statement, partition, use_key
from components.packaging import ROOT, package_zip
from components.storage import PrivateBucket

GLUE_VERSION = "5.1"
ATHENA_PREFIX = "athena-results/"
JOB_SCRIPT = ROOT / "etl" / "ratings_etl.py"


WORKERS = (2, 299)
TIMEOUT_MINUTES = (1, 7 * 24 * 60)
"""Limits of Glue's CreateJob."""
CRON = r"cron\([^ ()]+( [^ ()]+){5}\)"
"""Glue Developer Guide, "Time-based schedules for jobs and crawlers"."""

JOB_LOGS = ("output", "error")
"""The groups that Glue 5 writes below a job's `--custom-logGroup-prefix` (Glue Developer Guide, "Logging for AWS Glue
jobs"). Its own ones belong to the whole account and keep what they have for ever."""

LIST_BUCKET = ["s3:ListBucket", "s3:GetBucketLocation"]
"""What Glue does with a bucket as a whole, for a job and for a crawler (Glue Developer Guide, "Step 1: Create an IAM
policy for the AWS Glue service")."""

MANAGED_TAG = "aws-glue-service-resource"
"""The tag by which Glue marks the network interfaces that it makes."""


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


class BatchPipelineSettings(TypedDict):
    """Settings of the batch, as given under `recommender:batch` in the stack's configuration."""

    worker_type: NotRequired[WorkerType]
    """`G.1X` (4 vCPU, 16 GB), `G.2X`, `G.4X`, `G.8X`, or `R.1X` to `R.8X` with twice the memory. Default: `G.1X`."""
    workers: NotRequired[int]
    """Workers of the job, 2 to 299. Default: 2."""
    timeout_minutes: NotRequired[int]
    """Minutes after which Glue ends a run, 1 to 10,080. Default: 60; Glue's own default is 48 hours."""
    flex: NotRequired[bool]
    """True runs the job on spare capacity (FLEX): a third cheaper, but it may wait for minutes to start. Only with
    `G.1X` and `G.2X`. Default: false."""
    schedule: NotRequired[str | None]
    """The times at which the job starts by itself, for instance `cron(0 3 * * ? *)` (UTC). Default: no schedule."""


class BatchPipelineArgs(BatchPipelineSettings, CommonArgs):
    """The login of the source, the job's network, code and size."""

    login_uri: pulumi.Input[str]
    """The `s3://…` URI of the source's login: a JSON object with `url`, `username` and `password`."""
    login_arn: pulumi.Input[str]
    client_security_group_ids: Sequence[pulumi.Input[str]]
    """Security groups that let the job reach the source database and S3."""
    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    """The private subnet that the job runs in."""
    code_bucket: pulumi.Input[str]
    """The bucket that the job's code is uploaded to."""
    code_bucket_arn: pulumi.Input[str]
    dataset_file: str
    """The path of dataset.toml, relative to the project."""
    training_data_name: str
    """The folder of the training data, as dataset.toml names it."""


class BatchPipeline(pulumi.ComponentResource):
    """MySQL → Glue → S3 data lake."""

    data_lake_bucket: pulumi.Output[str]
    glue_job_name: pulumi.Output[str]
    glue_database_name: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Output[str]]
    """Stack output → value, for the outputs of the stack that come from this component."""
    crawler_name: pulumi.Output[str]
    athena_workgroup_name: pulumi.Output[str]
    """The Athena workgroup in which data scientists query the training data."""

    def __init__(self, name: str, args: BatchPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:BatchPipeline", name, {}, opts)
        _check(args)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        lake = PrivateBucket(
            f"{name}-data-lake",
            {
                **common(args),
                # Query results can be had again by asking again.
                "expire_days": 30,
                "expire_prefix": ATHENA_PREFIX,
            },
            self._child,
        )
        database = aws.glue.CatalogDatabase(
            f"{name}-catalog", description="Training data of the recommender", tags=self._tags, opts=self._child
        )
        connection = self._connection(name, args)
        job = self._job(name, args, lake, database, connection)
        crawler = self._crawler(name, args, lake, database)
        self.data_lake_bucket = lake.name
        self.glue_job_name = job.name
        self.glue_database_name = database.name
        self.crawler_name = crawler.name
        self.athena_workgroup_name = self._workgroup(name, args, lake).name
        self._crawl_after_job(name, job, crawler)
        self._schedule(name, args, job)
        self.stack_outputs = {
            "data_lake_bucket": self.data_lake_bucket,
            "glue_job_name": self.glue_job_name,
            "glue_database_name": self.glue_database_name,
        }
        self.register_outputs(
            {
                "dataLakeBucket": self.data_lake_bucket,
                "glueJobName": self.glue_job_name,
                "glueDatabaseName": self.glue_database_name,
                "crawlerName": self.crawler_name,
            }
        )

    def _connection(self, name: str, args: BatchPipelineArgs) -> aws.glue.Connection:
        # Driver and executors are members of one group, which must allow itself (Glue: JDBC connections in a VPC).
        group = aws.ec2.SecurityGroup(
            f"{name}-job", vpc_id=args["vpc_id"], description="The Glue job", tags=self._tags, opts=self._child
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-job-from-itself",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=0,
            to_port=65535,
            tags=self._tags,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-job-to-itself",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=0,
            to_port=65535,
            tags=self._tags,
            opts=self._child,
        )
        zone = aws.ec2.get_subnet_output(id=args["subnet_id"], opts=pulumi.InvokeOptions(parent=self)).availability_zone
        # Where the job runs, and no login: for one, it would have to reach Glue's API and Secrets Manager from there.
        return aws.glue.Connection(
            f"{name}-network",
            connection_type="NETWORK",
            physical_connection_requirements={
                "subnet_id": args["subnet_id"],
                "availability_zone": zone,
                "security_group_id_lists": [group.id, *args["client_security_group_ids"]],
            },
            tags=self._tags,
            opts=self._child,
        )

    def _job(
        self,
        name: str,
        args: BatchPipelineArgs,
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
                "resources": [pulumi.Output.concat(args["code_bucket_arn"], "/etl/*")],
            },
            {
                "sid": "ListDataLake",
                "actions": LIST_BUCKET,
                "resources": [lake.arn],
            },
            {
                "sid": "ReplaceTrainingData",
                # Glue's committer for S3 uploads in parts, and gives up what a failed task has uploaded.
                "actions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                "resources": [pulumi.Output.concat(lake.arn, "/*")],
            },
            {
                "sid": "ReadConnection",
                "actions": ["glue:GetConnection"],
                "resources": [connection.arn, self._catalog_arn(database)],
            },
            {"sid": "ReadSourceLogin", "actions": ["s3:GetObject"], "resources": [args["login_arn"]]},
            *self._network_statements(),
            {
                "sid": "WriteMetrics",
                "actions": ["cloudwatch:PutMetricData"],
                # CloudWatch has no resource level for it; its namespace is a condition.
                "resources": ["*"],
                "conditions": {"StringEquals": {"cloudwatch:namespace": "Glue"}},
            },
            *use_key(args.get("kms_key_arn"), write=True),
        ]
        logs_prefix, log_groups = self._job_logs(name, args)
        role = self._role(f"{name}-job", [group.arn for group in log_groups], statements)
        return aws.glue.Job(
            f"{name}-ratings",
            description="Joins ratings with customers and products into training data",
            role_arn=role.arn,
            glue_version=GLUE_VERSION,
            command={"name": "glueetl", "python_version": "3", "script_location": script},
            worker_type=args.get("worker_type", WorkerType.G_1X),
            number_of_workers=args.get("workers", WORKERS[0]),
            timeout=args.get("timeout_minutes", 60),
            # A run replaces what was there or changes nothing, so that trying again is safe.
            max_retries=1,
            execution_class="FLEX" if args.get("flex") else "STANDARD",
            # Two at once would take turns at replacing the same data.
            execution_property={"max_concurrent_runs": 1},
            connections=[connection.name],
            default_arguments={
                "--enable-metrics": "true",
                "--custom-logGroup-prefix": logs_prefix,
                "--enable-job-insights": "true",
                # Over JDBC, bookmarks see new rows but not changed ones; the job replaces instead.
                "--job-bookmark-option": "job-bookmark-disable",
                "--extra-py-files": packages,
                "--login_uri": args["login_uri"],
                "--dataset_uri": dataset,
                "--data_lake_uri": pulumi.Output.concat("s3://", lake.name),
            },
            tags=self._tags,
            opts=self._child,
        )

    def _job_logs(self, name: str, args: BatchPipelineArgs) -> tuple[pulumi.Output[str], list[aws.cloudwatch.LogGroup]]:
        """Returns the log groups' prefix, which resolves when the groups exist, and the groups."""
        suffix = random.RandomId(f"{name}-logs", byte_length=4, opts=self._child)
        prefix = pulumi.Output.concat(f"/{pulumi.get_project()}/{name}-", suffix.hex)
        groups = [
            aws.cloudwatch.LogGroup(
                f"{name}-job-{kind}",
                name=pulumi.Output.concat(prefix, "/", kind),
                retention_in_days=log_retention(args),
                kms_key_id=args.get("kms_key_arn"),
                tags=self._tags,
                opts=self._child,
            )
            for kind in JOB_LOGS
        ]
        return pulumi.Output.all(prefix, *[group.id for group in groups]).apply(lambda made: str(made[0])), groups

    def _network_statements(self) -> list[Statement]:
        """Returns permissions for network interfaces: Glue makes the connection's under the job's own role.

        (Glue Developer Guide, "Step 1: Create an IAM policy for the AWS Glue service".)
        """
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        interfaces = pulumi.Output.format("arn:{0}:ec2:{1}:{2}:network-interface/*", partition(self), region, account)
        return [
            {
                "sid": "AttachToVpc",
                "actions": [
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeRouteTables",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcAttribute",
                    "ec2:DescribeVpcEndpoints",
                ],
                # EC2 has no resource level for Describe…, and the interfaces get names nobody knows before.
                "resources": ["*"],
            },
            {
                "sid": "TagInterfaces",
                "actions": ["ec2:CreateTags", "ec2:DeleteTags"],
                "resources": [interfaces],
                "conditions": {"ForAllValues:StringEquals": {"aws:TagKeys": [MANAGED_TAG]}},
            },
        ]

    def _crawler(
        self, name: str, args: BatchPipelineArgs, lake: PrivateBucket, database: aws.glue.CatalogDatabase
    ) -> aws.glue.Crawler:
        folder = args["training_data_name"]
        statements: list[Statement] = [
            {
                "sid": "ReadTrainingData",
                "actions": ["s3:GetObject"],
                "resources": [pulumi.Output.concat(lake.arn, f"/{folder}/*")],
            },
            {"sid": "ListDataLake", "actions": LIST_BUCKET, "resources": [lake.arn]},
            *use_key(args.get("kms_key_arn")),
            {
                "sid": "WriteCatalog",
                "actions": [
                    "glue:GetDatabase",
                    "glue:GetTable",
                    "glue:GetTables",
                    "glue:CreateTable",
                    "glue:UpdateTable",
                    "glue:GetPartition",
                    "glue:GetPartitions",
                    "glue:BatchGetPartition",
                    "glue:BatchCreatePartition",
                    "glue:BatchUpdatePartition",
                    "glue:BatchDeletePartition",
                    # A crawler makes partition indexes by itself (Glue: "Generating partition indexes").
                    "glue:CreatePartitionIndex",
                    "glue:GetPartitionIndexes",
                ],
                "resources": [
                    self._catalog_arn(database),
                    database.arn,
                    database.arn.apply(lambda arn: arn.replace(":database/", ":table/") + "/*"),
                ],
            },
        ]
        # A crawler's log is the account's own group, whose name cannot be chosen.
        logs = pulumi.Output.format(
            "arn:{0}:logs:{1}:{2}:log-group:/aws-glue/crawlers",
            partition(self),
            aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region,
            aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id,
        )
        role = self._role(f"{name}-crawler", [logs], statements)
        return aws.glue.Crawler(
            f"{name}-training-data",
            description="Registers the training data's table and partitions",
            database_name=database.name,
            role=role.arn,
            s3_targets=[{"path": pulumi.Output.concat("s3://", lake.name, f"/{folder}/"), "exclusions": ["_SUCCESS"]}],
            recrawl_policy={"recrawl_behavior": "CRAWL_EVERYTHING"},
            schema_change_policy={"update_behavior": "UPDATE_IN_DATABASE", "delete_behavior": "DELETE_FROM_DATABASE"},
            tags=self._tags,
            opts=self._child,
        )

    def _workgroup(self, name: str, args: BatchPipelineArgs, lake: PrivateBucket) -> aws.athena.Workgroup:
        key = args.get("kms_key_arn")
        return aws.athena.Workgroup(
            f"{name}-queries",
            description="Queries over the training data",
            force_destroy=args.get("force_destroy", False),
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "result_configuration": {
                    "output_location": pulumi.Output.concat("s3://", lake.name, "/", ATHENA_PREFIX),
                    "encryption_configuration": (
                        {"encryption_option": "SSE_KMS", "kms_key_arn": key} if key else {"encryption_option": "SSE_S3"}
                    ),
                },
            },
            tags=self._tags,
            opts=self._child,
        )

    def _crawl_after_job(self, name: str, job: aws.glue.Job, crawler: aws.glue.Crawler) -> None:
        """Starts the crawler when the job has succeeded, whoever started it.

        A conditional trigger fires only after a job that another trigger started (Glue Developer Guide, "AWS Glue
        triggers"), so not after `start-job-run`. EventBridge cannot start a crawler, but it can start a workflow.
        """
        workflow = aws.glue.Workflow(
            f"{name}-catalogue",
            description="Catalogues what a successful run of the job wrote",
            tags=self._tags,
            opts=self._child,
        )
        trigger = aws.glue.Trigger(
            f"{name}-crawl-after-job",
            type="EVENT",
            workflow_name=workflow.name,
            actions=[{"crawler_name": crawler.name}],
            tags=self._tags,
            opts=self._child,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-job-succeeded",
            description="The Glue job has succeeded: there is new training data",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.glue"],
                    "detail-type": ["Glue Job State Change"],
                    "detail": {"jobName": [job.name], "state": ["SUCCEEDED"]},
                }
            ),
            tags=self._tags,
            opts=self._child,
        )
        # Glue Developer Guide, "Starting an AWS Glue workflow with an Amazon EventBridge event".
        role = ScopedRole(
            f"{name}-start-workflow",
            {
                "service": "events.amazonaws.com",
                "statements": [{"sid": "StartWorkflow", "actions": ["glue:notifyEvent"], "resources": [workflow.arn]}],
                "tags": self._tags,
            },
            self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-start-workflow",
            rule=rule.name,
            arn=workflow.arn,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[trigger]),
        )

    def _schedule(self, name: str, args: BatchPipelineArgs, job: aws.glue.Job) -> None:
        if schedule := args.get("schedule"):
            aws.glue.Trigger(
                f"{name}-schedule",
                type="SCHEDULED",
                schedule=schedule,
                actions=[{"job_name": job.name}],
                tags=self._tags,
                opts=self._child,
            )

    def _role(self, name: str, log_groups: Sequence[pulumi.Input[str]], statements: Sequence[Statement]) -> ScopedRole:
        logs: Statement = {
            # Glue writes its logs under the role, and makes the group where there is none.
            "sid": "WriteLogs",
            "actions": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            "resources": [arn for group in log_groups for arn in (group, pulumi.Output.concat(group, ":*"))],
        }
        return ScopedRole(
            name,
            {
                "service": "glue.amazonaws.com",
                "statements": [logs, *statements],
                "source_account": aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id,
                "tags": self._tags,
            },
            self._child,
        )

    @staticmethod
    def _catalog_arn(database: aws.glue.CatalogDatabase) -> pulumi.Output[str]:
        return database.arn.apply(lambda arn: arn.split(":database/")[0] + ":catalog")

    def _upload(self, name: str, args: BatchPipelineArgs, path: Path) -> pulumi.Output[str]:
        uploaded = aws.s3.BucketObjectv2(
            name,
            bucket=args["code_bucket"],
            key=f"etl/{path.name}",
            source=pulumi.FileAsset(str(path)),
            opts=self._child,
        )
        return pulumi.Output.concat("s3://", uploaded.bucket, "/", uploaded.key)


def _check(args: BatchPipelineArgs) -> None:
    check_range("BatchPipeline", "workers", args.get("workers", WORKERS[0]), WORKERS)
    check_range("BatchPipeline", "timeout_minutes", args.get("timeout_minutes", 60), TIMEOUT_MINUTES)
    check_text("BatchPipeline", "schedule", args.get("schedule"), CRON, "six fields such as cron(0 3 * * ? *)")
    worker_type = args.get("worker_type", WorkerType.G_1X)
    if args.get("flex") and worker_type not in FLEX_WORKERS:
        raise ValueError(f"BatchPipeline: flex: expected worker_type {' or '.join(FLEX_WORKERS)}, got {worker_type}")
