"""The access of the pages to a stack: its API for the shop, and for the console an operator's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
import botocore.session

from contracts.artifacts import METRICS
from contracts.events import FAILED_PREFIX
from operations.api import Client
from operations.recommendations import RECOMMENDATIONS_PREFIX

Statement = dict[str, Any]


@dataclass(frozen=True)
class Keys:
    """The access key of an IAM user."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class Stack:
    """A stack and the two users that the server acts as: one for the shop's pages, one for the console.

    `environment` are AWS's variables of the endpoint (`AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, `AWS_REGION`), without keys.
    """

    environment: Mapping[str, str]
    api_url: str
    loader: str
    """The loader function's name."""
    log_groups: Sequence[str]
    """The log groups of the functions, which hold their metrics."""
    artifacts_bucket: str
    recommendations_bucket: str
    shop: Keys
    console: Keys

    @cached_property
    def api(self) -> Client:
        """The API, asked as the shop's user."""
        signer = botocore.session.Session()
        signer.set_credentials(self.shop.access_key_id, self.shop.secret_access_key)
        signer.set_config_variable("region", self.environment["AWS_REGION"])
        return Client(self.api_url, self.environment, signer)

    def client(self, service: str) -> Any:
        """Returns boto3's client for a service, as the console's user."""
        return boto3.session.Session().client(
            service,
            region_name=self.environment["AWS_REGION"],
            endpoint_url=self.environment.get("AWS_ENDPOINT_URL"),
            verify=self.environment.get("AWS_CA_BUNDLE"),
            aws_access_key_id=self.console.access_key_id,
            aws_secret_access_key=self.console.secret_access_key,
        )


def shop_statements(api_arn: str) -> list[Statement]:
    """Returns the permissions of the shop's user: the API, and nothing else."""
    return [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{api_arn}/*"}]


def console_statements(
    loader_arn: str, log_group_arns: Sequence[str], artifacts_arn: str, recommendations_arn: str
) -> list[Statement]:
    """Returns the permissions of the console's user: it reads, and calls the loader."""
    prefixes = [f"{prefix}*" for prefix in (RECOMMENDATIONS_PREFIX, FAILED_PREFIX)]
    # AWS asks for the ARN with `:*` at its end (CloudWatch Logs User Guide, "Overview of managing access permissions to
    # your CloudWatch Logs resources"), the emulated AWS for the one without.
    groups = [f"{arn}{end}" for arn in log_group_arns for end in ("", ":*")]
    records = [f"{recommendations_arn}/{prefix}" for prefix in prefixes]
    return [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": loader_arn},
        {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": groups},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{artifacts_arn}/*/{METRICS}"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": recommendations_arn,
            "Condition": {"StringLike": {"s3:prefix": prefixes}},
        },
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": records,
        },
    ]
