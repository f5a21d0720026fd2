"""A Lambda function made of a folder of `functions/`, with its own role, log group and alias."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, check_name, check_range, log_retention
from components.iam import ScopedRole, Statement
from components.packaging import LAMBDA_PYTHON, function_zip

ALIAS = "live"
"""The alias that callers use: it moves to a new version only when that version is ready."""

MAX_FUNCTION_NAME = 64
MAX_TIMEOUT_SECONDS = 900
MEMORY_RANGE_MB = (128, 10_240)
"""Lambda quotas: function name, timeout and memory."""


class PythonFunctionArgs(CommonArgs):
    """A function's code, permissions, environment, network and size."""

    source: str
    """The folder below `functions/`."""
    description: str
    code_bucket: pulumi.Input[str]
    """The bucket that the code is uploaded to."""
    environment: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    """The variables that the function reads; a secret among them makes the whole property secret."""
    statements: Sequence[Any]
    """The function's permissions beside logging, each a `Statement`."""
    timeout_seconds: int
    """Seconds after which Lambda ends a call, at most 900."""
    memory_mb: int
    """Memory in MB, 128 to 10,240; the share of a processor grows with it (1,769 MB is one)."""
    subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Subnets in which the function runs. Default: it runs outside of a VPC."""
    security_group_ids: NotRequired[Sequence[pulumi.Input[str]]]


class WatchedFunction(TypedDict):
    """The name and timeout of a function, for its alarms."""

    name: pulumi.Input[str]
    timeout_seconds: int


class PythonFunction(pulumi.ComponentResource):
    """A function on arm64, published, behind an alias."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    """The unqualified ARN, which alarms and policies name."""
    alias_arn: pulumi.Output[str]
    """The ARN of the alias, which callers invoke."""
    watched: WatchedFunction

    def __init__(self, name: str, args: PythonFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:PythonFunction", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._check(name, args)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            retention_in_days=log_retention(args),
            kms_key_id=args.get("kms_key_arn"),
            tags=args.get("tags"),
            opts=self._child,
        )
        role = self._role(name, args, logs)
        self._function = self._create(name, args, role, logs)
        alias = aws.lambda_.Alias(
            f"{name}-{ALIAS}",
            name=ALIAS,
            function_name=self._function.name,
            function_version=self._function.version,
            opts=self._child,
        )
        self.name = self._function.name
        self.arn = self._function.arn
        self.alias_arn = alias.arn
        self.watched = {"name": self.name, "timeout_seconds": args["timeout_seconds"]}
        self.register_outputs({"name": self.name, "arn": self.arn, "aliasArn": self.alias_arn})

    @staticmethod
    def _check(name: str, args: PythonFunctionArgs) -> None:
        check_name("PythonFunction", f"{name}-function", MAX_FUNCTION_NAME)
        check_range(name, "timeout_seconds", args["timeout_seconds"], (1, MAX_TIMEOUT_SECONDS))
        check_range(name, "memory_mb", args["memory_mb"], MEMORY_RANGE_MB)
        if ("subnet_ids" in args) != ("security_group_ids" in args):
            raise ValueError(f"{name}: expected subnet_ids and security_group_ids together, got one of them")

    def _role(self, name: str, args: PythonFunctionArgs, logs: aws.cloudwatch.LogGroup) -> ScopedRole:
        statements: list[Statement] = [
            {
                "sid": "WriteLogs",
                "actions": ["logs:CreateLogStream", "logs:PutLogEvents"],
                # The group is what a stream is created in, its streams are what events are put into.
                "resources": [logs.arn, pulumi.Output.concat(logs.arn, ":*")],
            },
            {
                "sid": "Trace",
                "actions": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                # X-Ray has no resource level for these.
                "resources": ["*"],
            },
            *args["statements"],
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
                    # The interfaces are made by the Lambda service under names nobody knows before.
                    "resources": ["*"],
                }
            )
        return ScopedRole(
            name,
            {"service": "lambda.amazonaws.com", "statements": statements, "tags": args.get("tags", {})},
            self._child,
        )

    def _create(
        self, name: str, args: PythonFunctionArgs, role: ScopedRole, logs: aws.cloudwatch.LogGroup
    ) -> aws.lambda_.Function:
        package = function_zip(args["source"], with_dependencies=args.get("bundle_dependencies", True))
        code = aws.s3.BucketObjectv2(
            f"{name}-code",
            bucket=args["code_bucket"],
            key=f"functions/{package.name}",
            source=pulumi.FileAsset(str(package)),
            opts=self._child,
        )
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
            environment={"variables": args["environment"]},
            kms_key_arn=args.get("kms_key_arn"),
            vpc_config=(
                {"subnet_ids": args["subnet_ids"], "security_group_ids": args["security_group_ids"]}
                if "subnet_ids" in args
                else None
            ),
            logging_config={"log_format": "JSON", "log_group": logs.name},
            # The platform's own tracing: sampling and segments cost the code nothing.
            tracing_config={"mode": "Active"},
            publish=True,
            tags=args.get("tags"),
            opts=self._child,
        )
