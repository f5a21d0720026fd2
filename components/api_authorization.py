"""Who may call the API: signed requests, tokens of an issuer, or keys from a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.api_settings import Authorization, RecommendationApiSettings
from components.common import CommonArgs, Component
from components.function import PythonFunction, WatchedFunction
from components.iam import partition, use_key
from components.private_bucket import BucketReference
from components.secrets import new_password, new_secret
from contracts.environment import API_KEYS_SECRET

API_KEY_HEADER = "x-api-key"
API_KEY_LENGTH = 40
CACHE_SECONDS = 300
"""Seconds for which API Gateway keeps an authorizer's answer for a key. A key that is removed works for as long."""
AUTHORIZER_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class RouteAuthorization:
    """The authorization of a route."""

    type: str
    """`AWS_IAM`, `JWT` or `CUSTOM` (API Gateway API reference, CreateRoute)."""
    authorizer_id: pulumi.Output[str] | None = None
    function: WatchedFunction | None = None
    """The authorizer's function, for alarms, where there is one."""


def authorize(
    owner: Component,
    name: str,
    settings: RecommendationApiSettings,
    api: aws.apigatewayv2.Api,
    code: BucketReference,
) -> RouteAuthorization:
    """Returns the authorization of the API's routes that the settings ask for."""
    if settings["authorization"] == Authorization.IAM:
        return RouteAuthorization("AWS_IAM")
    if settings["authorization"] == Authorization.JWT:
        issuer, audience = settings["jwt_issuer"], settings["jwt_audience"]
        return RouteAuthorization("JWT", _jwt_authorizer(f"{name}-jwt", api.id, issuer, audience, owner.child).id)
    keys = ApiKeyAuthorizer(
        f"{name}-keys",
        {"common": owner.common, "code": code, "api_id": api.id, "execution_arn": api.execution_arn},
        owner.child,
    )
    return RouteAuthorization("CUSTOM", keys.authorizer_id, keys.watched)


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
    """Its value is a JSON object of names and keys. The stack makes a first key, `default`; change keys in the
    secret."""
    watched: WatchedFunction
    """For alarms."""

    def __init__(self, name: str, args: ApiKeyAuthorizerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        first_key = new_password(self, f"{name}-first-key", API_KEY_LENGTH)
        secret = new_secret(
            self,
            f"{name}-keys",
            "Keys of the recommendation API: a JSON object of names and keys",
            pulumi.Output.json_dumps({"default": first_key}),
            owner_changes=True,
        )
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


def _jwt_authorizer(
    name: str, api_id: pulumi.Input[str], issuer: str, audience: Sequence[str], opts: pulumi.ResourceOptions
) -> aws.apigatewayv2.Authorizer:
    """Returns the authorizer that accepts tokens of the issuer for one of the audiences."""
    return aws.apigatewayv2.Authorizer(
        name,
        api_id=api_id,
        authorizer_type="JWT",
        identity_sources=["$request.header.Authorization"],
        jwt_configuration={"issuer": issuer, "audiences": list(audience)},
        opts=opts,
    )
