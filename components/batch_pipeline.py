"""Batch: a Glue job that turns the shop's MySQL into training data in a data lake, and the catalog over it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, common
from components.iam import ScopedRole, Statement, use_key
from components.packaging import ROOT, package_zip
from components.storage import PrivateBucket

GLUE_VERSION = "5.1"
ATHENA_PREFIX = "athena-results/"
JOB_SCRIPT = ROOT / "etl" / "ratings_etl.py"


class BatchPipelineSettings(TypedDict):
    """What a stack may say of it."""

    worker_type: NotRequired[pulumi.Input[str]]
    """Default: `G.1X` (4 vCPU, 16 GB)."""
    workers: NotRequired[int]
    """Default and least: 2."""
    timeout_minutes: NotRequired[pulumi.Input[int]]
    """Default: 60; Glue's own is 48 hours."""
    flex: NotRequired[bool]
    """Whether the job runs on spare capacity: a third cheaper, and it may wait for minutes. Default: false."""
    schedule: NotRequired[str | None]
    """When the job starts by itself, such as `cron(0 3 * * ? *)` (UTC). Default: only when somebody starts it."""


class BatchPipelineArgs(BatchPipelineSettings, CommonArgs):
    """Where the ratings come from, where the code lies, and how large the job is."""

    jdbc_url: pulumi.Input[str]
    """Of the source database."""
    secret_arn: pulumi.Input[str]
    """The secret with the source database's user name and password."""
    client_security_group_ids: Sequence[pulumi.Input[str]]
    """Groups that let the job reach the source database and S3."""
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
    """What a stack gives out of it, by the outputs' names."""
    crawler_name: pulumi.Output[str]
    athena_workgroup_name: pulumi.Output[str]
    """Where data scientists query the training data."""

    def __init__(self, name: str, args: BatchPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:BatchPipeline", name, {}, opts)
        if args.get("workers", 2) < 2:
            raise ValueError(f"BatchPipeline: workers: expected 2 or more (Glue's least), got {args.get('workers')}")
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
        self._triggers(name, args, job, crawler)
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
        return aws.glue.Connection(
            f"{name}-source",
            connection_type="JDBC",
            connection_properties={"JDBC_CONNECTION_URL": args["jdbc_url"], "SECRET_ID": args["secret_arn"]},
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
                "actions": ["s3:ListBucket"],
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
            {"sid": "ReadSourceLogin", "actions": ["secretsmanager:GetSecretValue"], "resources": [args["secret_arn"]]},
            *use_key(args.get("kms_key_arn"), write=True),
        ]
        role = self._role(f"{name}-job", statements)
        return aws.glue.Job(
            f"{name}-ratings",
            description="Joins ratings with customers and products into training data",
            role_arn=role.arn,
            glue_version=GLUE_VERSION,
            command={"name": "glueetl", "python_version": "3", "script_location": script},
            worker_type=args.get("worker_type", "G.1X"),
            number_of_workers=args.get("workers", 2),
            timeout=args.get("timeout_minutes", 60),
            # A run replaces what was there or changes nothing, so that trying again is safe.
            max_retries=1,
            execution_class="FLEX" if args.get("flex") else "STANDARD",
            # Two at once would take turns at replacing the same data.
            execution_property={"max_concurrent_runs": 1},
            connections=[connection.name],
            default_arguments={
                "--enable-metrics": "true",
                "--enable-continuous-cloudwatch-log": "true",
                "--enable-job-insights": "true",
                # Over JDBC, bookmarks see new rows but not changed ones; the job replaces instead.
                "--job-bookmark-option": "job-bookmark-disable",
                "--extra-py-files": packages,
                "--connection_name": connection.name,
                "--dataset_uri": dataset,
                "--data_lake_uri": pulumi.Output.concat("s3://", lake.name),
            },
            tags=self._tags,
            opts=self._child,
        )

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
            {"sid": "ListDataLake", "actions": ["s3:ListBucket"], "resources": [lake.arn]},
            *use_key(args.get("kms_key_arn")),
            {
                "sid": "WriteCatalog",
                "actions": [
                    "glue:GetDatabase",
                    "glue:GetTable",
                    "glue:CreateTable",
                    "glue:UpdateTable",
                    "glue:GetPartition",
                    "glue:GetPartitions",
                    "glue:BatchGetPartition",
                    "glue:BatchCreatePartition",
                    "glue:BatchUpdatePartition",
                    "glue:BatchDeletePartition",
                ],
                "resources": [
                    self._catalog_arn(database),
                    database.arn,
                    database.arn.apply(lambda arn: arn.replace(":database/", ":table/") + "/*"),
                ],
            },
        ]
        role = self._role(f"{name}-crawler", statements)
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

    def _triggers(self, name: str, args: BatchPipelineArgs, job: aws.glue.Job, crawler: aws.glue.Crawler) -> None:
        aws.glue.Trigger(
            f"{name}-crawl-after-job",
            description="Catalogues what a successful run of the job wrote",
            type="CONDITIONAL",
            predicate={"conditions": [{"job_name": job.name, "state": "SUCCEEDED"}]},
            actions=[{"crawler_name": crawler.name}],
            tags=self._tags,
            opts=self._child,
        )
        if schedule := args.get("schedule"):
            aws.glue.Trigger(
                f"{name}-schedule",
                type="SCHEDULED",
                schedule=schedule,
                actions=[{"job_name": job.name}],
                tags=self._tags,
                opts=self._child,
            )

    def _role(self, name: str, statements: Sequence[Statement]) -> ScopedRole:
        # Glue writes its logs under the role, into groups that it names itself.
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        logs: Statement = {
            "sid": "WriteLogs",
            "actions": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            "resources": [pulumi.Output.format("arn:aws:logs:{0}:{1}:log-group:/aws-glue/*", region, account)],
        }
        return ScopedRole(
            name,
            {
                "service": "glue.amazonaws.com",
                "statements": [logs, *statements],
                "source_account": account,
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
            tags=self._tags,
            opts=self._child,
        )
        return pulumi.Output.concat("s3://", uploaded.bucket, "/", uploaded.key)
