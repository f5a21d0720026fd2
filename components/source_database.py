"""The shop's MySQL: an existing one, or a small one made for trial."""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import INSTANCE_CLASS, CommonArgs, Component, check_range, check_text
from components.function import PythonFunction
from components.iam import Link
from components.live_changes import refusing, storage_grows, zones_stay
from components.network import PlacementArgs, connect
from components.private_bucket import BucketReference
from contracts.environment import SOURCE_DB

MYSQL_PORT = 3306
PORTS = (1, 65_535)
MYSQL_STORAGE_GB = (20, 65_536)
"""gp3 (RDS User Guide, "DB instance storage")."""
MADE_DATABASE = r"[A-Za-z][A-Za-z0-9]{0,63}"
MADE_USERNAME = r"[A-Za-z][A-Za-z0-9_]{0,15}"
"""Limits of RDS for MySQL (API reference, CreateDBInstance)."""

LOGIN_KEY = "source/login.json"
"""The key of the object that holds the login. It is outside of `etl/`, which holds the job's code."""


class SourceDatabaseSettings(TypedDict, total=False):
    """Settings of the source, as given under `recommender:source` in the stack's configuration, where the password
    stands too."""

    database: str
    """The schema that holds the tables of dataset.toml."""
    host: str
    """Host name of an existing MySQL. Required unless `trial` is true."""
    trial: bool
    """True makes a small MySQL for trial: no backups, no standby, deleted with the stack."""
    port: int
    """Port of the existing database, 1 to 65,535."""
    username: str
    """User of the existing database; it needs `SELECT` on the tables of dataset.toml."""
    options: str
    """Options of the JDBC driver, as a URL has them, TLS above all: `sslMode=VERIFY_CA`. Default: none."""
    instance_class: str
    """Instance class of the trial database."""
    sample_shop: bool
    """True fills the trial database with the sample shop."""
    sample_shop_seed: int
    """Seed of the sample shop's random numbers: another seed gives another shop."""
    storage_gb: int
    """Storage of the trial database in GiB, 20 to 65,536; less than a live one has is refused."""


SOURCE_DEFAULTS: SourceDatabaseSettings = {
    "database": "classicmodels",
    "trial": False,
    "port": MYSQL_PORT,
    "username": "shop",
    "options": "",
    "instance_class": "db.t4g.micro",
    "sample_shop": True,
    "sample_shop_seed": 1,
    "storage_gb": MYSQL_STORAGE_GB[0],
}


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
        _check(settings, password)
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
            password = pulumi.Output.secret(
                random.RandomPassword(f"{name}-password", length=32, special=False, opts=self.child).result
            )
            instance, rules = self._create(name, args["placement"], settings, password, client)
            host, port = instance.address, instance.port
            if settings["sample_shop"]:
                self._seed(name, args, settings, instance, password, client, rules)
        else:
            assert password is not None  # _check
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
            # A database that took another's place is empty.
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
        """Returns the database, and the rules without which nobody reaches it."""
        server = aws.ec2.SecurityGroup(
            f"{name}-server",
            vpc_id=placement["vpc_id"],
            description="The trial source database",
            tags=self.tags,
            opts=self.child,
        )
        rules = connect(self, name, client.id, server.id, MYSQL_PORT, self.tags)
        # RDS refuses to take a subnet group to another VPC.
        in_vpc = pulumi.ResourceOptions(parent=self, replacement_trigger=placement["vpc_id"])
        subnets = aws.rds.SubnetGroup(
            f"{name}-subnets",
            subnet_ids=placement["subnet_ids"],
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(in_vpc, refusing(f"{name}-subnets", zones_stay)),
        )
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
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[server.id],
            publicly_accessible=False,
            # A trial shop's data can be made again; nothing of it is worth a snapshot.
            skip_final_snapshot=True,
            backup_retention_period=0,
            copy_tags_to_snapshot=True,
            apply_immediately=True,
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(in_vpc, refusing(f"{name}-mysql", storage_grows)),
        )
        return instance, rules

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
            # Always by KMS, and without a bucket key: each read is a Decrypt that CloudTrail has.
            server_side_encryption="aws:kms",
            kms_key_id=self.kms_key_arn,
            bucket_key_enabled=False,
            opts=self.child,
        )


def _check(settings: SourceDatabaseSettings, password: pulumi.Input[str] | None) -> None:
    host, trial = settings.get("host"), settings["trial"]
    if host is not None and trial:
        raise ValueError(f"SourceDatabase: trial: expected it without a host, got the host {host!r}")
    if host is None and not trial:
        raise ValueError(
            "SourceDatabase: expected host, username and password of the shop's MySQL, or trial: true for a small one: "
            "pulumi config set --path recommender:source.host <host>"
        )
    if host is not None and password is None:
        raise ValueError(
            "SourceDatabase: expected the password of the existing database, got its host alone: "
            "pulumi config set --path --secret recommender:source.password"
        )
    check_text("SourceDatabase", "host", host, r"[A-Za-z0-9.:-]+", "a host name or address")
    check_range("SourceDatabase", "port", settings["port"], PORTS)
    if trial:
        check_text("SourceDatabase", "database", settings["database"], MADE_DATABASE, "up to 64 letters and digits")
        check_text("SourceDatabase", "username", settings["username"], MADE_USERNAME, "up to 16 letters, digits and _")
        check_text("SourceDatabase", "instance_class", settings["instance_class"], INSTANCE_CLASS, "db.<type>.<size>")
        check_range("SourceDatabase", "storage_gb", settings["storage_gb"], MYSQL_STORAGE_GB)
        check_range("SourceDatabase", "sample_shop_seed", settings["sample_shop_seed"], (0, 2**32 - 1))
