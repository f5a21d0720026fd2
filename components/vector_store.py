"""Vectors: PostgreSQL with pgvector, the bucket of ML artifacts, and the loader that a new manifest starts."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.function import PythonFunction
from components.iam import Statement
from components.network import connect
from components.storage import PrivateBucket

POSTGRES_PORT = 5432
POSTGRES_MAJOR_VERSION = "18"
"""Only the major version is pinned: RDS moves the minor one in the maintenance window."""

DEAD_LETTER_DAYS = 14
"""SQS's longest retention."""


class VectorStoreArgs(TypedDict):
    """The database's size and safety, and where the loader's code goes."""

    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    """Private subnets in two zones or more."""
    s3_client_security_group_id: pulumi.Input[str]
    code_bucket: pulumi.Input[str]
    instance_class: NotRequired[pulumi.Input[str]]
    """Default: `db.t4g.micro`."""
    storage_gb: NotRequired[pulumi.Input[int]]
    """Default and least: 20."""
    multi_az: NotRequired[pulumi.Input[bool]]
    """A standby in a second zone. Default: false."""
    backup_retention_days: NotRequired[pulumi.Input[int]]
    """Default: 7."""
    deletion_protection: NotRequired[pulumi.Input[bool]]
    """Default: true."""
    skip_final_snapshot: NotRequired[pulumi.Input[bool]]
    """Default: false."""
    force_destroy: NotRequired[pulumi.Input[bool]]
    """Whether `pulumi destroy` deletes a bucket of artifacts that holds some. Default: false."""
    log_retention_days: NotRequired[pulumi.Input[int]]
    """Default: 14."""
    bundle_dependencies: NotRequired[bool]
    """See `PythonFunctionArgs`. Default: true."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]


class VectorStore(pulumi.ComponentResource):
    """Artifacts → PostgreSQL with pgvector, loaded and switched over by itself."""

    ml_artifacts_bucket: pulumi.Output[str]
    ml_artifacts_bucket_arn: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    username: pulumi.Output[str]
    password: pulumi.Output[str]
    """Secret."""
    client_security_group_id: pulumi.Output[str]
    """What belongs to this group may open connections to the database."""
    environment: Mapping[str, pulumi.Output[str]]
    """The variables by which a function finds the artifacts and the database."""

    def __init__(self, name: str, args: VectorStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:VectorStore", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        bucket = PrivateBucket(
            f"{name}-ml-artifacts",
            {"notify_event_bridge": True, "force_destroy": args.get("force_destroy", False), "tags": self._tags},
            self._child,
        )
        client = aws.ec2.SecurityGroup(
            f"{name}-client",
            vpc_id=args["vpc_id"],
            description="May open connections to the vector store",
            tags=self._tags,
            opts=self._child,
        )
        instance = self._database(name, args, client)
        self.ml_artifacts_bucket = bucket.name
        self.ml_artifacts_bucket_arn = bucket.arn
        self.host = instance.address
        self.port = instance.port
        self.database = instance.db_name
        self.username = instance.username
        self.client_security_group_id = client.id
        self.environment = {
            "VECTOR_DB_HOST": self.host,
            "VECTOR_DB_PORT": self.port.apply(str),
            "VECTOR_DB_NAME": self.database,
            "VECTOR_DB_USER": self.username,
            "VECTOR_DB_PASSWORD": self.password,
            "ML_ARTIFACTS_BUCKET": self.ml_artifacts_bucket,
        }
        loader = self._loader(name, args)
        self._start_on_manifest(name, bucket, loader)
        self.register_outputs(
            {
                "mlArtifactsBucket": self.ml_artifacts_bucket,
                "host": self.host,
                "port": self.port,
                "database": self.database,
                "username": self.username,
                "password": self.password,
            }
        )

    def read_artifacts(self) -> Statement:
        """What a function that reads the artifacts may do; it goes with `environment`."""
        return {
            "sid": "ReadArtifacts",
            "actions": ["s3:GetObject"],
            "resources": [pulumi.Output.concat(self.ml_artifacts_bucket_arn, "/*")],
        }

    def _database(self, name: str, args: VectorStoreArgs, client: aws.ec2.SecurityGroup) -> aws.rds.Instance:
        server = aws.ec2.SecurityGroup(
            f"{name}-server", vpc_id=args["vpc_id"], description="The vector store", tags=self._tags, opts=self._child
        )
        connect(self, name, client.id, server.id, POSTGRES_PORT, self._tags)
        subnets = aws.rds.SubnetGroup(
            f"{name}-subnets", subnet_ids=args["subnet_ids"], tags=self._tags, opts=self._child
        )
        self.password = pulumi.Output.secret(
            random.RandomPassword(f"{name}-password", length=32, special=False, opts=self._child).result
        )
        # A fixed identifier would collide with the snapshot that an earlier destroy left behind.
        suffix = random.RandomId(f"{name}-final-snapshot", byte_length=4, opts=self._child)
        return aws.rds.Instance(
            f"{name}-postgres",
            engine="postgres",
            engine_version=POSTGRES_MAJOR_VERSION,
            instance_class=args.get("instance_class", "db.t4g.micro"),
            allocated_storage=args.get("storage_gb", 20),
            storage_type="gp3",
            storage_encrypted=True,
            db_name="recommender",
            username="recommender",
            password=self.password,
            port=POSTGRES_PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[server.id],
            publicly_accessible=False,
            multi_az=args.get("multi_az", False),
            backup_retention_period=args.get("backup_retention_days", 7),
            deletion_protection=args.get("deletion_protection", True),
            skip_final_snapshot=args.get("skip_final_snapshot", False),
            final_snapshot_identifier=pulumi.Output.concat(f"{name}-final-", suffix.hex),
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            tags=self._tags,
            opts=self._child,
        )

    def _loader(self, name: str, args: VectorStoreArgs) -> PythonFunction:
        return PythonFunction(
            f"{name}-loader",
            {
                "source": "embedding_loader",
                "description": "Loads a model version's embeddings into PostgreSQL and switches over to it",
                "code_bucket": args["code_bucket"],
                "environment": self.environment,
                "statements": [self.read_artifacts()],
                # The longest that Lambda allows: index builds of a million vectors on a small instance take minutes.
                "timeout_seconds": 900,
                "memory_mb": 512,
                "subnet_ids": args["subnet_ids"],
                "security_group_ids": [self.client_security_group_id, args["s3_client_security_group_id"]],
                "log_retention_days": args.get("log_retention_days", 14),
                "bundle_dependencies": args.get("bundle_dependencies", True),
                "tags": self._tags,
            },
            self._child,
        )

    def _start_on_manifest(self, name: str, bucket: PrivateBucket, loader: PythonFunction) -> None:
        rule = aws.cloudwatch.EventRule(
            f"{name}-manifest",
            description="A model version's manifest, the last of its files, has arrived",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {"bucket": {"name": [bucket.name]}, "object": {"key": [{"suffix": "/manifest.json"}]}},
                }
            ),
            tags=self._tags,
            opts=self._child,
        )
        dead_letters = self._dead_letters(name, rule)
        permission = aws.lambda_.Permission(
            f"{name}-manifest",
            action="lambda:InvokeFunction",
            function=loader.name,
            qualifier=loader.alias_arn.apply(lambda arn: arn.rsplit(":", 1)[1]),
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-load",
            rule=rule.name,
            arn=loader.alias_arn,
            retry_policy={"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 3600},
            dead_letter_config={"arn": dead_letters.arn},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )

    def _dead_letters(self, name: str, rule: aws.cloudwatch.EventRule) -> aws.sqs.Queue:
        queue = aws.sqs.Queue(
            f"{name}-load-dead-letters",
            message_retention_seconds=DEAD_LETTER_DAYS * 24 * 3600,
            sqs_managed_sse_enabled=True,
            tags=self._tags,
            opts=self._child,
        )
        aws.sqs.QueuePolicy(
            f"{name}-load-dead-letters",
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "UndeliveredEvents",
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": queue.arn,
                            "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
                        }
                    ],
                }
            ),
            opts=self._child,
        )
        return queue
