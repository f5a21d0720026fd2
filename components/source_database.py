"""The shop's MySQL: an existing one, or a small one made for trial."""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component
from components.function import PythonFunction
from components.iam import Link
from components.live_changes import refusing, storage_grows
from components.network import PlacementArgs
from components.private_bucket import BucketReference
from components.rds import place_database
from components.secrets import new_password
from components.source_settings import MYSQL_PORT, SOURCE_DEFAULTS, SourceDatabaseSettings, check
from contracts.environment import SOURCE_DB, SOURCE_LOGIN_URI

LOGIN_KEY = "source/login.json"
"""The key of the object that holds the login. It is outside of `etl/`, which holds the job's code."""


class SourceDatabaseArgs(TypedDict):
    """An existing database where the settings give its host, or one that is made here where they say `trial`."""

    common: NotRequired[CommonArgs]
    settings: SourceDatabaseSettings
    password: NotRequired[pulumi.Input[str] | None]
    """Password of the existing database's user. It is kept as a secret."""
    placement: PlacementArgs
    code: BucketReference
    """The bucket that the login, and the seeding function's code, are uploaded to."""


class SourceDatabase(Component):
    """The database that the ratings come from, and the login by which the Glue job opens it.

    The login is an object on S3, which a job in a private subnet reaches without an interface endpoint
    (docs/adr/0013).
    """

    login_uri: pulumi.Output[str]
    """The `s3://…` URI of a JSON object: `url` (JDBC), `username`, `password`. It resolves when the object exists."""
    login_arn: pulumi.Output[str]
    """ARN of the login's object, which the job's role must be allowed to read."""
    client_security_group_id: pulumi.Output[str]
    """Members of this security group may open connections to the database."""

    def __init__(self, name: str, args: SourceDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = SOURCE_DEFAULTS | args["settings"]
        password = args.get("password")
        check(settings, password)
        client = aws.ec2.SecurityGroup(
            f"{name}-client",
            vpc_id=args["placement"]["vpc_id"],
            description="May open connections to the source database",
            tags=self.tags,
            opts=self.child,
        )
        host: pulumi.Input[str] | None = settings.get("host")
        port: pulumi.Input[int] = settings["port"]
        if host is None:
            password = new_password(self, f"{name}-password")
            instance, rules = self._create(name, args["placement"], settings, password, client)
            host, port = instance.address, instance.port
            if settings["sample_shop"]:
                self._seed(name, args, settings, instance, password, client, rules)
        else:
            assert password is not None  # check
            self._allow_egress(name, client, settings["port"])
        options = f"?{settings['options']}" if settings["options"] else ""
        url = pulumi.Output.format("jdbc:mysql://{0}:{1}/{2}{3}", host, port, settings["database"], options)
        login = self._login(name, args, {"url": url, "username": settings["username"], "password": password})
        self.login_uri = pulumi.Output.concat("s3://", login.bucket, "/", login.key)
        self.login_arn = pulumi.Output.concat(args["code"]["arn"], "/", LOGIN_KEY)
        self.client_security_group_id = client.id
        self.register_attributes()

    @property
    def link(self) -> Link:
        """Everything that a Glue job needs to read the database."""
        return {
            "variables": {"login_uri": self.login_uri},
            "statements": [{"sid": "ReadSourceLogin", "actions": ["s3:GetObject"], "resources": [self.login_arn]}],
            "security_group_ids": [self.client_security_group_id],
        }

    @property
    def function_link(self) -> Link:
        """Everything that a function needs to read the database: the same login, as an environment variable."""
        return {**self.link, "variables": {SOURCE_LOGIN_URI: self.login_uri}}

    def _seed(
        self,
        name: str,
        args: SourceDatabaseArgs,
        settings: SourceDatabaseSettings,
        instance: aws.rds.Instance,
        password: pulumi.Input[str],
        client: aws.ec2.SecurityGroup,
        rules: Sequence[pulumi.Resource],
    ) -> None:
        """Fills the database once, by a function in the VPC: the database cannot be reached from outside."""
        seeder = PythonFunction(
            f"{name}-seeder",
            {
                "common": self.common,
                "label": "seeder",
                "source": "shop_seeder",
                "description": "Fills the trial source database with the sample shop",
                "code_bucket": args["code"]["name"],
                "variables": {
                    SOURCE_DB.host: instance.address,
                    SOURCE_DB.port: instance.port.apply(str),
                    SOURCE_DB.name: settings["database"],
                    SOURCE_DB.user: instance.username,
                    SOURCE_DB.password: password,
                },
                "timeout_seconds": 120,
                "memory_mb": 256,
                "subnet_ids": args["placement"]["subnet_ids"],
                "security_group_ids": [client.id],
            },
            self.child,
        )
        aws.lambda_.Invocation(
            f"{name}-seed",
            function_name=seeder.name,
            qualifier=seeder.alias_name,
            input=json.dumps({"seed": settings["sample_shop_seed"]}),
            # A new database in the place of another one is empty.
            triggers={"database": instance.resource_id},
            lifecycle_scope="CREATE_ONLY",
            opts=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )

    def _create(
        self,
        name: str,
        placement: PlacementArgs,
        settings: SourceDatabaseSettings,
        password: pulumi.Input[str],
        client: aws.ec2.SecurityGroup,
    ) -> tuple[aws.rds.Instance, Sequence[pulumi.Resource]]:
        """Returns the database, and the security group rules by which its clients reach it."""
        network = place_database(self, name, "The trial source database", placement, client, MYSQL_PORT)
        instance = aws.rds.Instance(
            f"{name}-mysql",
            engine="mysql",
            engine_version="8.4",
            instance_class=settings["instance_class"],
            allocated_storage=settings["storage_gb"],
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=self.kms_key_arn,
            db_name=settings["database"],
            username=settings["username"],
            password=password,
            port=MYSQL_PORT,
            db_subnet_group_name=network.subnet_group.name,
            vpc_security_group_ids=[network.server.id],
            publicly_accessible=False,
            # A trial shop's data can be made again, so no snapshot is needed.
            skip_final_snapshot=True,
            backup_retention_period=0,
            copy_tags_to_snapshot=True,
            apply_immediately=True,
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(parent=self, replacement_trigger=placement["vpc_id"]),
                refusing(f"{name}-mysql", storage_grows),
            ),
        )
        return instance, network.rules

    def _allow_egress(self, name: str, client: aws.ec2.SecurityGroup, port: int) -> None:
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-existing",
            security_group_id=client.id,
            description="The existing source database, wherever its name resolves to",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=self.tags,
            opts=self.child,
        )

    def _login(
        self, name: str, args: SourceDatabaseArgs, login: Mapping[str, pulumi.Input[str]]
    ) -> aws.s3.BucketObjectv2:
        return aws.s3.BucketObjectv2(
            f"{name}-login",
            bucket=args["code"]["name"],
            key=LOGIN_KEY,
            content=pulumi.Output.json_dumps({**login, "password": pulumi.Output.secret(login["password"])}),
            content_type="application/json",
            # Encrypted by KMS without a bucket key, so that CloudTrail records a Decrypt for each read of the login.
            server_side_encryption="aws:kms",
            kms_key_id=self.kms_key_arn,
            bucket_key_enabled=False,
            opts=self.child,
        )
