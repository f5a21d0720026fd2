"""The shop's MySQL: an existing one, or a small one made for trial."""

import json
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import INSTANCE_CLASS, CommonArgs, check_range, check_text, common
from components.function import PythonFunction
from components.network import PlacementArgs, connect

MYSQL_PORT = 3306
PORTS = (1, 65_535)
MYSQL_STORAGE_GB = (20, 65_536)
"""gp3 (RDS User Guide, "DB instance storage")."""
MADE_DATABASE = r"[A-Za-z][A-Za-z0-9]{0,63}"
MADE_USERNAME = r"[A-Za-z][A-Za-z0-9_]{0,15}"
"""Limits of RDS for MySQL (API reference, CreateDBInstance)."""

LOGIN_KEY = "source/login.json"
"""The key of the object that holds the login. It is outside of `etl/`, which holds the job's code."""


class SourceDatabaseSettings(TypedDict):
    """Settings of the source, as given under `recommender:source` in the stack's configuration."""

    database: NotRequired[pulumi.Input[str]]
    """The schema that holds the tables of dataset.toml. Default: `classicmodels`."""
    host: NotRequired[str | None]
    """Host name of an existing MySQL. Required unless `trial` is true."""
    trial: NotRequired[bool]
    """True makes a small MySQL for trial: no backups, no standby, deleted with the stack. Default: false."""
    port: NotRequired[int]
    """Port of the existing database, 1 to 65,535. Default: 3306."""
    username: NotRequired[pulumi.Input[str]]
    """User of the existing database; it needs `SELECT` on the tables of dataset.toml. Default: `shop`."""
    password: NotRequired[pulumi.Input[str] | None]
    """Password of the existing database's user; give it as a secret."""
    options: NotRequired[pulumi.Input[str]]
    """Options of the JDBC driver, as a URL has them, TLS above all: `sslMode=VERIFY_CA`. Default: none."""
    instance_class: NotRequired[pulumi.Input[str]]
    """Instance class of the trial database. Default: `db.t4g.micro`."""
    sample_shop: NotRequired[bool]
    """True fills the trial database with the sample shop. Default: true."""
    sample_shop_seed: NotRequired[int]
    """Seed of the sample shop's random numbers: another seed gives another shop. Default: 1."""
    storage_gb: NotRequired[int]
    """Storage of the trial database in GiB, 20 to 65,536; RDS can only increase it. Default: 20."""


class SourceDatabaseArgs(SourceDatabaseSettings, PlacementArgs, CommonArgs):
    """An existing database where `host` is given, or one that is made here where `trial` is true."""

    code_bucket: pulumi.Input[str]
    """The bucket that the login, and the seeding function's code, are uploaded to."""
    code_bucket_arn: pulumi.Input[str]


class SourceDatabase(pulumi.ComponentResource):
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
        super().__init__("recommender:index:SourceDatabase", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        _check(args)
        client = aws.ec2.SecurityGroup(
            f"{name}-client",
            vpc_id=args["vpc_id"],
            description="May open connections to the source database",
            tags=self._tags,
            opts=self._child,
        )
        username = args.get("username", "shop")
        host: pulumi.Input[str] | None = args.get("host")
        port: pulumi.Input[int] = args.get("port", MYSQL_PORT)
        given = args.get("password")
        if host is None:
            made: pulumi.Output[str] = pulumi.Output.secret(
                random.RandomPassword(f"{name}-password", length=32, special=False, opts=self._child).result
            )
            password: pulumi.Input[str] = made
            instance = self._create(name, args, username, password, client)
            host, port = instance.address, instance.port
            if args.get("sample_shop", True):
                self._seed(name, args, instance, client, made)
        else:
            assert given is not None  # _check
            password = given
            self._allow_egress(name, client, port)
        options = pulumi.Output.from_input(args.get("options", "")).apply(lambda text: f"?{text}" if text else "")
        jdbc_url = pulumi.Output.format("jdbc:mysql://{0}:{1}/{2}{3}", host, port, self._database(args), options)
        login = self._login(name, args, {"url": jdbc_url, "username": username, "password": password})
        self.login_uri = pulumi.Output.concat("s3://", login.bucket, "/", login.key)
        self.login_arn = pulumi.Output.concat(args["code_bucket_arn"], "/", LOGIN_KEY)
        self.client_security_group_id = client.id
        self.register_outputs(
            {
                "loginUri": self.login_uri,
                "loginArn": self.login_arn,
                "clientSecurityGroupId": self.client_security_group_id,
            }
        )

    def _seed(
        self,
        name: str,
        args: SourceDatabaseArgs,
        instance: aws.rds.Instance,
        client: aws.ec2.SecurityGroup,
        password: pulumi.Input[str],
    ) -> None:
        """Fills the database once, by a function in the VPC: the database cannot be reached from outside."""
        seeder = PythonFunction(
            f"{name}-seeder",
            {
                **common(args),
                "source": "shop_seeder",
                "description": "Fills the trial source database with the sample shop",
                "code_bucket": args["code_bucket"],
                "environment": {
                    "SOURCE_DB_HOST": instance.address,
                    "SOURCE_DB_PORT": instance.port.apply(str),
                    "SOURCE_DB_NAME": self._database(args),
                    "SOURCE_DB_USER": instance.username,
                    "SOURCE_DB_PASSWORD": password,
                },
                "statements": [],
                "timeout_seconds": 120,
                "memory_mb": 256,
                "subnet_ids": args["subnet_ids"],
                "security_group_ids": [client.id],
            },
            self._child,
        )
        aws.lambda_.Invocation(
            f"{name}-seed",
            function_name=seeder.name,
            qualifier=seeder.alias_arn.apply(lambda arn: arn.rsplit(":", 1)[1]),
            input=json.dumps({"seed": args.get("sample_shop_seed", 1)}),
            # A database that took another's place is empty.
            triggers={"database": instance.resource_id},
            lifecycle_scope="CREATE_ONLY",
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._rules),
        )

    @staticmethod
    def _database(args: SourceDatabaseArgs) -> pulumi.Input[str]:
        return args.get("database", "classicmodels")

    def _create(
        self,
        name: str,
        args: SourceDatabaseArgs,
        username: pulumi.Input[str],
        password: pulumi.Input[str],
        client: aws.ec2.SecurityGroup,
    ) -> aws.rds.Instance:
        server = aws.ec2.SecurityGroup(
            f"{name}-server",
            vpc_id=args["vpc_id"],
            description="The trial source database",
            tags=self._tags,
            opts=self._child,
        )
        self._rules = connect(self, name, client.id, server.id, MYSQL_PORT, self._tags)
        # RDS refuses to take a subnet group to another VPC.
        in_vpc = pulumi.ResourceOptions(parent=self, replacement_trigger=args["vpc_id"])
        subnets = aws.rds.SubnetGroup(f"{name}-subnets", subnet_ids=args["subnet_ids"], tags=self._tags, opts=in_vpc)
        return aws.rds.Instance(
            f"{name}-mysql",
            engine="mysql",
            engine_version="8.4",
            instance_class=args.get("instance_class", "db.t4g.micro"),
            allocated_storage=args.get("storage_gb", 20),
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.get("kms_key_arn"),
            db_name=self._database(args),
            username=username,
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
            tags=self._tags,
            opts=in_vpc,
        )

    def _allow_egress(self, name: str, client: aws.ec2.SecurityGroup, port: pulumi.Input[int]) -> None:
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-existing",
            security_group_id=client.id,
            description="The existing source database, wherever its name resolves to",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=self._tags,
            opts=self._child,
        )

    def _login(
        self, name: str, args: SourceDatabaseArgs, login: Mapping[str, pulumi.Input[str]]
    ) -> aws.s3.BucketObjectv2:
        return aws.s3.BucketObjectv2(
            f"{name}-login",
            bucket=args["code_bucket"],
            key=LOGIN_KEY,
            content=pulumi.Output.json_dumps({**login, "password": pulumi.Output.secret(login["password"])}),
            content_type="application/json",
            # Always by KMS, and without a bucket key: each read is a Decrypt that CloudTrail has.
            server_side_encryption="aws:kms",
            kms_key_id=args.get("kms_key_arn"),
            bucket_key_enabled=False,
            opts=self._child,
        )


def _check(args: SourceDatabaseArgs) -> None:
    host, trial = args.get("host"), args.get("trial", False)
    if host is not None and trial:
        raise ValueError(f"SourceDatabase: trial: expected it without a host, got the host {host!r}")
    if host is None and not trial:
        raise ValueError(
            "SourceDatabase: expected host, username and password of the shop's MySQL, or trial: true for a small one: "
            "pulumi config set --path recommender:source.host <host>"
        )
    if host is not None and args.get("password") is None:
        raise ValueError(
            "SourceDatabase: expected the password of the existing database, got its host alone: "
            "pulumi config set --path --secret recommender:source.password"
        )
    check_text("SourceDatabase", "host", host, r"[A-Za-z0-9.:-]+", "a host name or address")
    check_range("SourceDatabase", "port", args.get("port", MYSQL_PORT), PORTS)
    if trial:
        check_text("SourceDatabase", "database", args.get("database"), MADE_DATABASE, "up to 64 letters and digits")
        check_text("SourceDatabase", "username", args.get("username"), MADE_USERNAME, "up to 16 letters, digits and _")
        check_text("SourceDatabase", "instance_class", args.get("instance_class"), INSTANCE_CLASS, "db.<type>.<size>")
        check_range("SourceDatabase", "storage_gb", args.get("storage_gb", MYSQL_STORAGE_GB[0]), MYSQL_STORAGE_GB)
        check_range("SourceDatabase", "sample_shop_seed", args.get("sample_shop_seed", 1), (0, 2**32 - 1))
