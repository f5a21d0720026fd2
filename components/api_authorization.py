"""Who may call the API: signed requests, tokens of an issuer, or keys from a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, Component
from components.function import PythonFunction, WatchedFunction
from components.iam import partition, use_key
from components.private_bucket import BucketReference
from contracts.environment import API_KEYS_SECRET

API_KEY_HEADER = "x-api-key"
API_KEY_LENGTH = 40
CACHE_SECONDS = 300
"""How long API Gateway keeps an authorizer's answer for a key: a key that is taken away stops that much later."""
AUTHORIZER_TIMEOUT_SECONDS = 10


class Authorization(StrEnum):
    """The credentials that a request to the API must carry."""

    IAM = "iam"
    """A signature (Signature Version 4) by somebody who may `execute-api:Invoke`."""
    JWT = "jwt"
    """A token of the issuer for the audience."""
    API_KEY = "api_key"
    """A key of the secret, in the header `x-api-key`."""


@dataclass(frozen=True)
class RouteAuthorization:
    """The authorization of a route."""

    type: str
    """`AWS_IAM`, `JWT` or `CUSTOM` (API Gateway API reference, CreateRoute)."""
    authorizer_id: pulumi.Output[str] | None = None


class ApiKeyAuthorizerArgs(TypedDict):
    """The API that asks for keys."""

    common: NotRequired[CommonArgs]
    code: BucketReference
    """The bucket that the code is uploaded to."""
    api_id: pulumi.Input[str]
    execution_arn: pulumi.Input[str]
    """The API's ARN as a caller, such as `arn:aws:execute-api:eu-west-1:111122223333:abc`."""


class ApiKeyAuthorizer(Component):
    """A Lambda authorizer, and the secret with the keys that it lets in."""

    authorizer_id: pulumi.Output[str]
    secret_arn: pulumi.Output[str]
    """Its value is a JSON object of names and keys; a first key, `default`, is made with the stack. Change it there."""
    watched: WatchedFunction
    """For alarms."""

    def __init__(self, name: str, args: ApiKeyAuthorizerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        secret = self._secret(name)
        function = PythonFunction(
            name,
            {
                "common": self.common,
                "label": "authorizer",
                "source": "api_key_authorizer",
                "description": "Lets requests with a known key through",
                "code_bucket": args["code"]["name"],
                "variables": {API_KEYS_SECRET: secret.arn},
                "statements": [
                    {"sid": "ReadKeys", "actions": ["secretsmanager:GetSecretValue"], "resources": [secret.arn]},
                    *use_key(self.kms_key_arn),
                ],
                "timeout_seconds": AUTHORIZER_TIMEOUT_SECONDS,
                "memory_mb": 512,
            },
            self.child,
        )
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        authorizer = aws.apigatewayv2.Authorizer(
            f"{name}-authorizer",
            api_id=args["api_id"],
            authorizer_type="REQUEST",
            authorizer_uri=pulumi.Output.concat(
                "arn:", partition(self), ":apigateway:", region,
                ":lambda:path/2015-03-31/functions/", function.alias_arn, "/invocations",
            ),
            authorizer_payload_format_version="2.0",
            enable_simple_responses=True,
            identity_sources=[f"$request.header.{API_KEY_HEADER}"],
            authorizer_result_ttl_in_seconds=CACHE_SECONDS,
            opts=self.child,
        )  # fmt: skip
        aws.lambda_.Permission(
            f"{name}-api",
            function=function.name,
            qualifier=function.alias_name,
            action="lambda:InvokeFunction",
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.concat(args["execution_arn"], "/authorizers/", authorizer.id),
            opts=self.child,
        )
        self.authorizer_id = authorizer.id
        self.secret_arn = secret.arn
        self.watched = function.watched
        self.register_attributes()

    def _secret(self, name: str) -> aws.secretsmanager.Secret:
        secret = aws.secretsmanager.Secret(
            f"{name}-keys",
            description="Keys of the recommendation API: a JSON object of names and keys",
            kms_key_id=self.kms_key_arn,
            # Without the window, the name is free again at once; a protected stack keeps what it deletes for a month.
            recovery_window_in_days=0 if self.stack["force_destroy"] else 30,
            tags=self.tags,
            opts=self.child,
        )
        first = random.RandomPassword(f"{name}-first-key", length=API_KEY_LENGTH, special=False, opts=self.child)
        key: pulumi.Output[str] = pulumi.Output.secret(first.result)
        aws.secretsmanager.SecretVersion(
            f"{name}-keys",
            secret_id=secret.id,
            secret_string=pulumi.Output.json_dumps({"default": key}),
            # The keys are the owner's to change; an update of the stack must not put the first one back.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"]),
        )
        return secret


def jwt_authorizer(
    name: str, api_id: pulumi.Input[str], issuer: str, audience: Sequence[str], opts: pulumi.ResourceOptions
) -> aws.apigatewayv2.Authorizer:
    """Returns the authorizer that lets in who brings a token of the issuer for one of the audiences."""
    return aws.apigatewayv2.Authorizer(
        name,
        api_id=api_id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration={"issuer": issuer, "audiences": list(audience)},
        opts=opts,
    )
