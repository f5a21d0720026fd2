"""The shop's MySQL: one that exists, or a small one made for trial."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, common
from components.function import PythonFunction
from components.network import PlacementArgs, connect

MYSQL_PORT = 3306


class SourceDatabaseSettings(TypedDict):
    """What a stack may say of it."""

    database: NotRequired[pulumi.Input[str]]
    """The schema that holds the tables of dataset.toml. Default: `classicmodels`."""
    host: NotRequired[str | None]
    """Where an existing MySQL answers."""
    port: NotRequired[int]
    """Default: 3306."""
    username: NotRequired[pulumi.Input[str]]
    """Of the existing database, where it needs `SELECT` on the three tables. Default: `shop`."""
    password: NotRequired[pulumi.Input[str] | None]
    """Of the existing database; give it as a secret."""
    instance_class: NotRequired[pulumi.Input[str]]
    """Of the trial database. Default: `db.t4g.micro`."""
    sample_shop: NotRequired[bool]
    """Whether the trial database is filled with the sample shop. Default: true."""
    sample_shop_seed: NotRequired[int]
    """What the sample shop is made from: another seed, another shop. Default: 1."""
    storage_gb: NotRequired[pulumi.Input[int]]
    """Of the trial database. Default and least: 20."""


class SourceDatabaseArgs(SourceDatabaseSettings, PlacementArgs, CommonArgs):
    """An existing database where `host` is given, else one that is made here."""

    code_bucket: pulumi.Input[str]
    """The bucket that the seeding function's code is uploaded to."""


class SourceDatabase(pulumi.ComponentResource):
    """Where the ratings come from, and the secret that opens it."""

    jdbc_url: pulumi.Output[str]
    secret_arn: pulumi.Output[str]
    """A secret of `{"username", "password"}`. Resolves when it has its value."""
    client_security_group_id: pulumi.Output[str]
    """What belongs to this group may open connections to the database."""

    def __init__(self, name: str, args: SourceDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:SourceDatabase", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
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
        password: pulumi.Input[str] | None = args.get("password")
        if host is None:
            made: pulumi.Output[str] = pulumi.Output.secret(
                random.RandomPassword(f"{name}-password", length=32, special=False, opts=self._child).result
            )
            password = made
            instance = self._create(name, args, username, password, client)
            host, port = instance.address, instance.port
            if args.get("sample_shop", True):
                self._seed(name, args, instance, client, made)
        elif password is None:
            raise ValueError("SourceDatabase: expected the password of the existing database, got its host alone")
        else:
            self._allow_egress(name, client, port)
        self.jdbc_url = pulumi.Output.format("jdbc:mysql://{0}:{1}/{2}", host, port, self._database(args))
        self.secret_arn = self._secret(name, username, password)
        self.client_security_group_id = client.id
        self.register_outputs(
            {
                "jdbcUrl": self.jdbc_url,
                "secretArn": self.secret_arn,
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
        """Fills the database once, from inside the VPC: nobody else can reach it."""
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

    def _secret(self, name: str, username: pulumi.Input[str], password: pulumi.Input[str]) -> pulumi.Output[str]:
        secret = aws.secretsmanager.Secret(
            f"{name}-login",
            description="User name and password of the source database",
            # A trial stack that is torn down and made again must not wait for the old secret to go.
            recovery_window_in_days=0,
            tags=self._tags,
            opts=self._child,
        )
        version = aws.secretsmanager.SecretVersion(
            f"{name}-login",
            secret_id=secret.id,
            secret_string=pulumi.Output.json_dumps({"username": username, "password": pulumi.Output.secret(password)}),
            opts=self._child,
        )
        return pulumi.Output.all(secret.arn, version.id).apply(lambda made: str(made[0]))
