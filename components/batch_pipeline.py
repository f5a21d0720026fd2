"""Batch: a Glue job that turns the shop's MySQL into training data in a data lake, and the catalog over it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.iam import ScopedRole, Statement
from components.packaging import ROOT, package_zip
from components.storage import PrivateBucket

GLUE_VERSION = "5.1"
JOB_SCRIPT = ROOT / "etl" / "ratings_etl.py"


class BatchPipelineArgs(TypedDict):
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
    dataset: str
    """The path of dataset.toml, relative to the project."""
    training_data_name: str
    """The folder of the training data, as dataset.toml names it."""
    worker_type: NotRequired[pulumi.Input[str]]
    """Default: `G.1X` (4 vCPU, 16 GB)."""
    workers: NotRequired[int]
    """Default and least: 2."""
    timeout_minutes: NotRequired[pulumi.Input[int]]
    """Default: 60; Glue's own is 48 hours."""
    force_destroy: NotRequired[pulumi.Input[bool]]
    """Whether `pulumi destroy` deletes a data lake that holds data. Default: false."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]


class BatchPipeline(pulumi.ComponentResource):
    """MySQL → Glue → S3 data lake."""

    data_lake_bucket: pulumi.Output[str]
    glue_job_name: pulumi.Output[str]
    glue_database_name: pulumi.Output[str]
    crawler_name: pulumi.Output[str]

    def __init__(self, name: str, args: BatchPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:BatchPipeline", name, {}, opts)
        if args.get("workers", 2) < 2:
            raise ValueError(f"BatchPipeline: workers: expected 2 or more (Glue's least), got {args.get('workers')}")
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        lake = PrivateBucket(
            f"{name}-data-lake", {"force_destroy": args.get("force_destroy", False), "tags": self._tags}, self._child
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
        dataset = self._upload(f"{name}-dataset", args, ROOT / args["dataset"])
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
                "actions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "resources": [pulumi.Output.concat(lake.arn, "/*")],
            },
            {
                "sid": "ReadConnection",
                "actions": ["glue:GetConnection"],
                "resources": [connection.arn, self._catalog_arn(database)],
            },
            {"sid": "ReadSourceLogin", "actions": ["secretsmanager:GetSecretValue"], "resources": [args["secret_arn"]]},
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
            # Two at once would take turns at replacing the same data.
            execution_property={"max_concurrent_runs": 1},
            connections=[connection.name],
            default_arguments={
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

    def _role(self, name: str, statements: Sequence[Statement]) -> ScopedRole:
        # Glue writes its logs under the role, into groups that it names itself.
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        logs: Statement = {
            "sid": "WriteLogs",
            "actions": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            "resources": [pulumi.Output.format("arn:aws:logs:{0}:{1}:log-group:/aws-glue/*", region, account)],
        }
        args = {"service": "glue.amazonaws.com", "statements": [logs, *statements], "tags": self._tags}
        return ScopedRole(name, args, self._child)  # type: ignore[arg-type]

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
