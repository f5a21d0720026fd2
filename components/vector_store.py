"""Vectors: PostgreSQL with pgvector, the bucket of ML artifacts, and the loader that a new manifest starts."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, Component
from components.function import PythonFunction, WatchedFunction
from components.iam import Link, Statement, use_key
from components.live_changes import backups_stay, refusing, storage_grows
from components.loading import load_on_manifest
from components.network import PlacementArgs
from components.private_bucket import BucketReference, PrivateBucket
from components.rds import place_database
from components.secrets import new_password, new_secret
from components.vector_settings import VECTOR_STORE_DEFAULTS, VectorStoreSettings, check
from contracts.environment import ML_ARTIFACTS_BUCKET, VECTOR_DB, VECTOR_DB_AUTH

POSTGRES_PORT = 5432
MASTER_USER = "recommender"
IAM_USER = "recommender_app"
"""The database user that functions log in as under IAM authentication."""

POSTGRES_MAJOR_VERSION = "18"
"""Only the major version is pinned: RDS moves the minor one in the maintenance window."""

BUILD_PARAMETERS = {
    # An HNSW index that does not fit into this memory is built several times slower. A quarter of the instance's
    # memory (the formula is in bytes, the parameter in KiB): the loader builds one index at a time.
    "maintenance_work_mem": "{DBInstanceClassMemory/4096}",
    "max_parallel_maintenance_workers": "GREATEST({DBInstanceVCPU/2},1)",
}
"""Formulas of RDS parameters (RDS User Guide, "Specifying DB parameters"), so that they follow the instance class."""

FREE_INSIGHTS_DAYS = 7
"""The retention of Performance Insights that costs nothing."""


class VectorStoreArgs(TypedDict):
    """The vector store's settings, its network, and the bucket of the loader's code."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[VectorStoreSettings]
    placement: PlacementArgs
    code: BucketReference
    """The bucket that the functions' code is uploaded to."""


class WatchedDatabase(TypedDict):
    """A database instance, for its alarms."""

    identifier: pulumi.Input[str]
    """The identifier of the instance, by which CloudWatch names its metrics."""
    instance_class: str
    """Such as `db.m7g.large`; the connections that it allows are computed from its memory."""
    storage_gb: pulumi.Input[int]
    """The storage that the instance has now: a change that waits for the maintenance window does not change alarms."""


class VectorStore(Component):
    """Artifacts → PostgreSQL with pgvector. A new model version is loaded, and switched to, without an operator."""

    ml_artifacts_bucket: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    username: pulumi.Output[str]
    password: pulumi.Output[str]
    """Secret."""
    client_security_group_id: pulumi.Output[str]
    """Members of this security group may open connections to the database."""
    dead_letter_queue_name: pulumi.Output[str]
    """The queue of events whose model version could not be loaded."""
    watched: WatchedDatabase
    """The database, for alarms."""
    loader: WatchedFunction
    """The loader, for alarms."""

    def __init__(self, name: str, args: VectorStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = VECTOR_STORE_DEFAULTS | args.get("settings", {})
        check(name, settings)
        bucket = PrivateBucket(f"{name}-ml-artifacts", {"common": self.common, "notify_event_bridge": True}, self.child)
        client = aws.ec2.SecurityGroup(
            f"{name}-client",
            vpc_id=args["placement"]["vpc_id"],
            description="May open connections to the vector store",
            tags=self.tags,
            opts=self.child,
        )
        self.password = self._password(name)
        instance, rules = self._database(name, args["placement"], settings, client)
        self.ml_artifacts_bucket = bucket.name
        self.host = instance.address
        self.port = instance.port
        self.database = instance.db_name
        self.username = instance.username
        self.client_security_group_id = client.id
        self.link = self._link(settings, bucket, instance)
        """Everything that a function needs to read the artifacts and use the database."""
        loader, dead_letters = load_on_manifest(self, name, bucket, self.link, args["placement"], args["code"]["name"])
        if settings["iam_authentication"]:
            self._let_roles_in(name, loader, instance, rules)
        self.dead_letter_queue_name = dead_letters.name
        self.loader = loader.watched
        self.watched = {
            "identifier": instance.identifier,
            "instance_class": settings["instance_class"],
            "storage_gb": instance.allocated_storage,
        }
        self.register_attributes()

    def _link(self, settings: VectorStoreSettings, bucket: PrivateBucket, instance: aws.rds.Instance) -> Link:
        variables: dict[str, pulumi.Input[str]] = {
            VECTOR_DB.host: self.host,
            VECTOR_DB.port: self.port.apply(str),
            VECTOR_DB.name: self.database,
            ML_ARTIFACTS_BUCKET: self.ml_artifacts_bucket,
        }
        statements: list[Statement] = [
            {
                "sid": "ReadArtifacts",
                "actions": ["s3:GetObject"],
                "resources": [pulumi.Output.concat(bucket.arn, "/*")],
            },
            *use_key(self.kms_key_arn),
        ]
        if settings["iam_authentication"]:
            users = instance.arn.apply(lambda arn: arn.replace(":rds:", ":rds-db:").rsplit(":db:", 1)[0] + ":dbuser:")
            user = pulumi.Output.concat(users, instance.resource_id, f"/{IAM_USER}")
            statements.append({"sid": "OpenDatabase", "actions": ["rds-db:connect"], "resources": [user]})
            variables |= {VECTOR_DB.user: IAM_USER, VECTOR_DB_AUTH: "iam"}
        else:
            variables |= {VECTOR_DB.user: self.username, VECTOR_DB.password: self.password}
        return {
            "variables": variables,
            "statements": statements,
            "security_group_ids": [self.client_security_group_id],
        }

    def _let_roles_in(
        self, name: str, loader: PythonFunction, instance: aws.rds.Instance, rules: Sequence[pulumi.Resource]
    ) -> None:
        """Makes the database user that roles log in as, through the loader: only the master user may make it."""
        aws.lambda_.Invocation(
            f"{name}-let-roles-in",
            function_name=loader.name,
            qualifier=loader.alias_name,
            input=pulumi.Output.json_dumps(
                {
                    "action": "grant_iam",
                    "user": IAM_USER,
                    "master_user": self.username,
                    "master_password": self.password,
                }
            ),
            # A new database in the place of another one has no such user.
            triggers={"database": instance.resource_id},
            opts=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )

    def _database(
        self, name: str, placement: PlacementArgs, settings: VectorStoreSettings, client: aws.ec2.SecurityGroup
    ) -> tuple[aws.rds.Instance, Sequence[pulumi.Resource]]:
        """Returns the database, and the security group rules by which its clients reach it."""
        vpc_id = placement["vpc_id"]
        network = place_database(self, name, "The vector store", placement, client, POSTGRES_PORT)
        # A kept snapshot's name stays taken, so each database gets a name of its own. The keepers are the values whose
        # change replaces the database.
        suffix = random.RandomId(
            f"{name}-final-snapshot",
            byte_length=4,
            keepers={"kms_key": self.kms_key_arn or "", "vpc": vpc_id},
            opts=self.child,
        )
        protected = settings["deletion_protection"]
        instance = aws.rds.Instance(
            f"{name}-postgres",
            engine="postgres",
            engine_version=POSTGRES_MAJOR_VERSION,
            instance_class=settings["instance_class"],
            allocated_storage=settings["storage_gb"],
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=self.kms_key_arn,
            parameter_group_name=self._parameters(name).name,
            iam_database_authentication_enabled=settings["iam_authentication"],
            performance_insights_enabled=True,
            performance_insights_retention_period=FREE_INSIGHTS_DAYS,
            performance_insights_kms_key_id=self.kms_key_arn,
            db_name="recommender",
            username=MASTER_USER,
            password=self.password,
            port=POSTGRES_PORT,
            db_subnet_group_name=network.subnet_group.name,
            vpc_security_group_ids=[network.server.id],
            publicly_accessible=False,
            multi_az=settings["multi_az"],
            backup_retention_period=settings["backup_retention_days"],
            deletion_protection=protected,
            apply_immediately=settings["apply_immediately"],
            skip_final_snapshot=settings["skip_final_snapshot"],
            final_snapshot_identifier=pulumi.Output.concat(f"{name}-final-", suffix.hex),
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(parent=self, protect=protected, replacement_trigger=vpc_id),
                refusing(f"{name}-postgres", storage_grows, backups_stay),
            ),
        )
        return instance, network.rules

    def _password(self, name: str) -> pulumi.Output[str]:
        password = new_password(self, f"{name}-password")
        login = pulumi.Output.json_dumps({"username": MASTER_USER, "password": password})
        new_secret(self, f"{name}-login", "User name and password of the vector store", login)
        return password

    def _parameters(self, name: str) -> aws.rds.ParameterGroup:
        values = {**BUILD_PARAMETERS, "rds.force_ssl": "1"}
        return aws.rds.ParameterGroup(
            f"{name}-parameters",
            family=f"postgres{POSTGRES_MAJOR_VERSION}",
            description="TLS only; memory and processors for index builds by instance size",
            parameters=[
                # RDS reports a parameter that is at its default as pending-reboot. Any other apply method for
                # `rds.force_ssl` would show as a change at every `up`.
                {"name": parameter, "value": value, "apply_method": "pending-reboot"}
                if parameter == "rds.force_ssl"
                else {"name": parameter, "value": value}
                for parameter, value in values.items()
            ],
            tags=self.tags,
            opts=self.child,
        )
