"""A Lambda function made of a folder of `functions/`, with its own role, log group and alias."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_name, check_range
from components.iam import Link, ScopedRole, Statement
from components.packaging import LAMBDA_PYTHON, function_zip

ALIAS = "live"
"""The alias that callers use: it moves to a new version only when that version is ready."""

MAX_FUNCTION_NAME = 64
MAX_TIMEOUT_SECONDS = 900
MEMORY_RANGE_MB = (128, 10_240)
"""Lambda quotas: function name, timeout and memory."""


class PythonFunctionArgs(TypedDict):
    """A function's code, size, network and links."""

    common: NotRequired[CommonArgs]
    label: str
    """The function's name in alarms and on the dashboard, such as `loader`."""
    source: str
    """The folder below `functions/`."""
    description: str
    code_bucket: pulumi.Input[str]
    """The bucket that the code is uploaded to."""
    links: NotRequired[Sequence[Link]]
    """The parts that the function uses. A secret among their variables makes the function's `environment` secret."""
    variables: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Environment variables beside those of the links."""
    statements: NotRequired[Sequence[Statement]]
    """Permissions beside logging and those of the links."""
    timeout_seconds: int
    """Seconds after which Lambda ends a call, at most 900."""
    memory_mb: int
    """Memory in MB, 128 to 10,240; the share of a processor grows with it (1,769 MB is one)."""
    subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Subnets in which the function runs, in the security groups of its links. Default: it runs outside of a VPC."""
    security_group_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Security groups beside those of the links."""


class WatchedFunction(TypedDict):
    """A function, for its alarms."""

    label: str
    """The function's name in alarms and on the dashboard."""
    name: pulumi.Input[str]
    """Physical name, by which CloudWatch names the function's metrics."""
    timeout_seconds: int
    """Seconds after which Lambda ends a call."""


class PythonFunction(Component):
    """A function on arm64, published, behind an alias."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    """The unqualified ARN, which alarms and policies name."""
    alias_arn: pulumi.Output[str]
    """The ARN of the alias, which callers invoke."""
    alias_name: pulumi.Output[str]
    """The alias's name, by which calls qualify the function's name. It resolves when the alias exists."""
    watched: WatchedFunction
    """The function as `Monitoring` takes it."""

    def __init__(self, name: str, args: PythonFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        check_name("PythonFunction", f"{name}-function", MAX_FUNCTION_NAME)
        check_range(name, "timeout_seconds", args["timeout_seconds"], (1, MAX_TIMEOUT_SECONDS))
        check_range(name, "memory_mb", args["memory_mb"], MEMORY_RANGE_MB)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            retention_in_days=self.stack["log_retention_days"],
            kms_key_id=self.kms_key_arn,
            tags=self.tags,
            opts=self.child,
        )
        role = self._role(name, args, logs)
        function = self._create(name, args, role, logs)
        alias = aws.lambda_.Alias(
            f"{name}-{ALIAS}",
            name=ALIAS,
            function_name=function.name,
            function_version=function.version,
            opts=self.child,
        )
        self.name = function.name
        self.arn = function.arn
        self.alias_arn = alias.arn
        self.alias_name = alias.name
        self.watched = {"label": args["label"], "name": self.name, "timeout_seconds": args["timeout_seconds"]}
        self.register_attributes()

    def _role(self, name: str, args: PythonFunctionArgs, logs: aws.cloudwatch.LogGroup) -> ScopedRole:
        statements: list[Statement] = [
            {
                "sid": "WriteLogs",
                "actions": ["logs:CreateLogStream", "logs:PutLogEvents"],
                # A log stream is created in the group, and events are put into the stream.
                "resources": [logs.arn, pulumi.Output.concat(logs.arn, ":*")],
            },
            {
                "sid": "Trace",
                "actions": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                # X-Ray has no resource level for these.
                "resources": ["*"],
            },
            *[statement for link in args.get("links", []) for statement in link["statements"]],
            *args.get("statements", []),
        ]
        if "subnet_ids" in args:
            statements.append(
                {
                    "sid": "AttachToVpc",
                    # Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
                    "actions": [
                        "ec2:CreateNetworkInterface",
                        "ec2:DescribeNetworkInterfaces",
                        "ec2:DescribeSubnets",
                        "ec2:DeleteNetworkInterface",
                        "ec2:AssignPrivateIpAddresses",
                        "ec2:UnassignPrivateIpAddresses",
                    ],
                    # Lambda makes the interfaces, so their ids are not known beforehand.
                    "resources": ["*"],
                }
            )
        return ScopedRole(
            name,
            {"common": self.common, "service": "lambda.amazonaws.com", "statements": statements},
            self.child,
        )

    def _create(
        self, name: str, args: PythonFunctionArgs, role: ScopedRole, logs: aws.cloudwatch.LogGroup
    ) -> aws.lambda_.Function:
        package = function_zip(args["source"], with_dependencies=self.stack["bundle_dependencies"])
        code = aws.s3.BucketObjectv2(
            f"{name}-code",
            bucket=args["code_bucket"],
            key=f"functions/{package.name}",
            source=pulumi.FileAsset(str(package)),
            opts=self.child,
        )
        links = args.get("links", [])
        variables = {variable: value for link in links for variable, value in link["variables"].items()}
        groups = [group for link in links for group in link["security_group_ids"]]
        groups += args.get("security_group_ids", [])
        if ("subnet_ids" in args) != bool(groups):
            raise ValueError(f"{name}: expected subnet_ids and security_group_ids together, got one of them")
        return aws.lambda_.Function(
            f"{name}-function",
            description=args["description"],
            runtime=f"python{LAMBDA_PYTHON}",
            architectures=["arm64"],
            handler=f"functions.{args['source']}.handler.handler",
            s3_bucket=code.bucket,
            s3_key=code.key,
            role=role.arn,
            timeout=args["timeout_seconds"],
            memory_size=args["memory_mb"],
            environment={"variables": {**variables, **args.get("variables", {})}},
            kms_key_arn=self.kms_key_arn,
            vpc_config=(
                {"subnet_ids": args["subnet_ids"], "security_group_ids": groups} if "subnet_ids" in args else None
            ),
            logging_config={"log_format": "JSON", "log_group": logs.name},
            # Lambda itself traces: the code spends no time on sampling and segments.
            tracing_config={"mode": "Active"},
            publish=True,
            tags=self.tags,
            opts=self.child,
        )
