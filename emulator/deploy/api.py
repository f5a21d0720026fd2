"""The HTTP API on MiniStack, which routes requests, checks who sends them, and calls the functions.

It writes no access log: docs/local-services.md says so.
"""

from collections.abc import Collection
from typing import Any

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, no_local_effect, realises
from emulator.errors import LocalRunError
from emulator.permissions import service_may

GATEWAY = "apigateway.amazonaws.com"

no_local_effect("aws:cloudwatch/logMetricFilter:LogMetricFilter", "it counts lines of logs that only AWS writes")

_KNOWN: dict[str, Collection[str]] = {
    "Api": ("protocolType", "description", "corsConfiguration", "tags", "name"),
    "Integration": ("apiId", "integrationType", "integrationUri", "payloadFormatVersion", "timeoutMilliseconds"),
    "Authorizer": ("apiId", "authorizerType", "authorizerUri", "authorizerPayloadFormatVersion", "name",
                   "enableSimpleResponses", "identitySources", "authorizerResultTtlInSeconds", "jwtConfiguration"),
    "Route": ("apiId", "routeKey", "target", "authorizationType", "authorizerId"),
    "Stage": ("apiId", "name", "autoDeploy", "defaultRouteSettings", "accessLogSettings", "tags"),
}  # fmt: skip
"""Inputs that have an effect here, or that docs/local-services.md lists as having none."""


@realises("aws:apigatewayv2/api:Api")
def api(cloud: Cloud, resource: Resource) -> Realised:
    _check(resource)
    if resource["protocolType"] != "HTTP":
        raise LocalRunError(f"{resource}: expected the protocolType HTTP, found {resource['protocolType']}")
    cors = resource.get("corsConfiguration")
    made = cloud.client("apigatewayv2").create_api(
        Name=resource.physical_name(),
        ProtocolType="HTTP",
        Description=resource.get("description", ""),
        Tags=resource.get("tags", {}),
        **({"CorsConfiguration": _capitals(cors)} if cors else {}),
    )
    id_ = made["ApiId"]
    # By path: host names below the one that MiniStack listens at do not resolve on this machine.
    outputs = {
        "apiEndpoint": f"{cloud.aws.endpoint_url}/_aws/execute-api/{id_}",
        "executionArn": cloud.arn("execute-api", id_),
    }
    return Realised(id_, outputs)


@realises("aws:apigatewayv2/integration:Integration")
def integration(cloud: Cloud, resource: Resource) -> Realised:
    _check(resource)
    made = cloud.client("apigatewayv2").create_integration(
        ApiId=resource["apiId"],
        IntegrationType=resource["integrationType"],
        IntegrationUri=resource["integrationUri"],
        PayloadFormatVersion=resource["payloadFormatVersion"],
        TimeoutInMillis=int(resource["timeoutMilliseconds"]),
    )
    return Realised(made["IntegrationId"])


@realises("aws:apigatewayv2/authorizer:Authorizer")
def authorizer(cloud: Cloud, resource: Resource) -> Realised:
    _check(resource)
    by_type: dict[str, Any] = {}
    if resource["authorizerType"] == "JWT":
        jwt = resource["jwtConfiguration"]
        by_type["JwtConfiguration"] = {"Issuer": jwt["issuer"], "Audience": jwt["audiences"]}
    else:
        by_type = {
            "AuthorizerUri": resource["authorizerUri"],
            "AuthorizerPayloadFormatVersion": resource["authorizerPayloadFormatVersion"],
            "EnableSimpleResponses": resource["enableSimpleResponses"],
            "AuthorizerResultTtlInSeconds": int(resource["authorizerResultTtlInSeconds"]),
        }
    made = cloud.client("apigatewayv2").create_authorizer(
        ApiId=resource["apiId"],
        Name=resource.physical_name(),
        AuthorizerType=resource["authorizerType"],
        IdentitySource=resource["identitySources"],
        **by_type,
    )
    id_ = made["AuthorizerId"]
    if "AuthorizerUri" in by_type:
        function = resource["authorizerUri"].rpartition("/functions/")[2].removesuffix("/invocations")
        source = f"{cloud.arn('execute-api', resource['apiId'])}/authorizers/{id_}"
        _remember(cloud, function, source)
    return Realised(id_)


@realises("aws:apigatewayv2/route:Route")
def route(cloud: Cloud, resource: Resource) -> Realised:
    _check(resource)
    client = cloud.client("apigatewayv2")
    made = client.create_route(
        ApiId=resource["apiId"],
        RouteKey=resource["routeKey"],
        Target=resource["target"],
        AuthorizationType=resource["authorizationType"],
        **({"AuthorizerId": resource["authorizerId"]} if resource.get("authorizerId") else {}),
    )
    target = resource["target"].removeprefix("integrations/")
    function = client.get_integration(ApiId=resource["apiId"], IntegrationId=target)["IntegrationUri"]
    method, path = resource["routeKey"].split(" ", 1)
    _remember(cloud, function, f"{cloud.arn('execute-api', resource['apiId'])}/$default/{method}{path}")
    return Realised(made["RouteId"])


@realises("aws:apigatewayv2/stage:Stage")
def stage(cloud: Cloud, resource: Resource) -> Realised:
    _check(resource)
    limits = resource.get("defaultRouteSettings")
    cloud.client("apigatewayv2").create_stage(
        ApiId=resource["apiId"],
        StageName=resource["name"],
        AutoDeploy=bool(resource.get("autoDeploy")),
        **({"DefaultRouteSettings": _capitals(limits)} if limits else {}),
        Tags=resource.get("tags", {}),
    )
    return Realised(resource["name"])


def check_calls(cloud: Cloud) -> None:
    """Raises `LocalRunError` if a function's own policy does not let API Gateway call it, which MiniStack does not
    check.

    Call it when all resources are made: a permission may be registered after its route.
    """
    client = cloud.client("lambda")
    for function, source in cloud.gateway_calls:
        try:
            policy = client.get_policy(**_named(function))["Policy"]
        except client.exceptions.ResourceNotFoundException:
            policy = None
        if not service_may(cloud.aws, policy, GATEWAY, "lambda:InvokeFunction", function, source):
            raise LocalRunError(f"{function}: its policy does not let {GATEWAY} call it for {source}")


def _named(function_arn: str) -> dict[str, str]:
    arn, _, qualifier = function_arn.rpartition(":")
    return {"FunctionName": arn, "Qualifier": qualifier}


def _remember(cloud: Cloud, function_arn: str, source_arn: str) -> None:
    with cloud.lock:
        cloud.gateway_calls.append((function_arn, source_arn))


def _check(resource: Resource) -> None:
    """Raises `LocalRunError` for an input that has no effect here and is not listed as such."""
    known = _KNOWN[resource.type.rsplit(":", 1)[-1]]
    if unknown := sorted(set(resource.inputs) - set(known)):
        raise LocalRunError(f"{resource}: the local run does not carry out {', '.join(unknown)}: add it to {__name__}")


def _capitals(inputs: Any) -> dict[str, Any]:
    """Returns the inputs under boto3's names; Pulumi's whole numbers come as floats."""
    whole = ("maxAge", "throttlingBurstLimit")
    return {name[0].upper() + name[1:]: int(value) if name in whole else value for name, value in inputs.items()}
