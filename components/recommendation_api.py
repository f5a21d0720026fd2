"""HTTP API: it answers recommendations to the shop's pages and takes their events, by two functions."""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.api_authorization import API_KEY_HEADER, RouteAuthorization, authorize
from components.api_domain import serve_under_domain
from components.api_settings import API_DEFAULTS, RecommendationApiSettings, check
from components.common import CommonArgs, Component
from components.function import PythonFunction, WatchedFunction
from components.iam import Link
from components.network import PlacementArgs
from components.private_bucket import BucketReference
from contracts import api as contract

STAGE = "$default"
API_TIMEOUT_SECONDS = 15
"""The timeout of both functions. API Gateway waits 30 seconds at most (developer guide, "Quotas for configuring and
running an HTTP API"); recommendation_api answers in 5, whatever the database does."""
CORS_SECONDS = 3600

ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latencyMs": "$context.responseLatency",
    "functionMs": "$context.integrationLatency",
    "error": "$context.error.message",
    "functionError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
}
"""The fields that are logged for a request: no address, no path and no query, which hold items and customers (developer
guide, "Customize HTTP API access logs")."""


class RecommendationApiArgs(TypedDict):
    """The API's settings, the recommending function's network, and what the functions use."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[RecommendationApiSettings]
    placement: PlacementArgs
    store: Link
    """The vector store."""
    events: Link
    """The event stream, to put events on."""
    code: BucketReference
    """The bucket that the code is uploaded to."""


class WatchedApi(TypedDict):
    """An API, for its alarms."""

    id: pulumi.Input[str]
    """Id, by which CloudWatch names the API's metrics."""
    latency_ms: int
    """The most that the 99th percentile of the latency may be, in milliseconds."""
    access_log_name: pulumi.Input[str]
    """Log group of the requests."""


class RecommendationApi(Component):
    """API Gateway → recommendation API and event intake."""

    url: pulumi.Output[str]
    """Where the paths of contracts/api.json begin, without a slash at the end."""
    recommendations: WatchedFunction
    """The recommending function, for alarms."""
    intake: WatchedFunction
    """The event intake, for alarms."""
    authorizer: WatchedFunction | None
    """With `authorization: api_key`: the authorizer, for alarms."""
    watched: WatchedApi
    """For alarms."""

    def __init__(self, name: str, args: RecommendationApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = API_DEFAULTS | args.get("settings", {})
        check(settings)
        api = aws.apigatewayv2.Api(
            f"{name}-http",
            protocol_type="HTTP",
            description="Recommendations and events of the shop (contracts/api.json)",
            cors_configuration=_cors(settings["cors_origins"]),
            # Who knows the made-up address would go around what stands before the shop's own (a firewall, a cache).
            disable_execute_api_endpoint=True if settings.get("domain_name") else None,
            tags=self.tags,
            opts=self.child,
        )
        recommend, intake = self._recommend(name, args, settings), self._intake(name, args)
        authorization = authorize(self, name, settings, api, args["code"])
        self.recommendations, self.intake = recommend.watched, intake.watched
        self.authorizer = authorization.function
        to_recommend = self._target(name, "recommendations", api, recommend)
        to_intake = self._target(name, "intake", api, intake)
        targets = {"recommendations": to_recommend, "health": to_recommend, "events": to_intake}
        routes = self._routes(name, api, targets, authorization)
        logs = self._access_logs(name)
        stage = self._stage(name, settings, api, routes, logs)
        under_domain = bool(settings.get("domain_name"))
        self.url = serve_under_domain(self, name, settings, stage) if under_domain else api.api_endpoint
        self.watched = {"id": api.id, "latency_ms": settings["latency_alarm_ms"], "access_log_name": logs.name}
        self.register_attributes()

    @property
    def functions(self) -> list[WatchedFunction]:
        """All functions, for alarms."""
        return [self.recommendations, self.intake, *([self.authorizer] if self.authorizer else [])]

    def _recommend(self, name: str, args: RecommendationApiArgs, settings: RecommendationApiSettings) -> PythonFunction:
        return PythonFunction(
            f"{name}-recommendations",
            {
                "common": self.common,
                "label": "recommendations",
                "source": "recommendation_api",
                "description": "Recommends items for one request, with the active model version",
                "code_bucket": args["code"]["name"],
                "links": [args["store"]],
                "timeout_seconds": API_TIMEOUT_SECONDS,
                "memory_mb": settings["memory_mb"],
                "subnet_ids": args["placement"]["subnet_ids"],
                "security_group_ids": [args["placement"]["s3_client_security_group_id"]],
            },
            self.child,
        )

    def _intake(self, name: str, args: RecommendationApiArgs) -> PythonFunction:
        # Outside the VPC: without NAT, a function in it could not reach Kinesis.
        return PythonFunction(
            f"{name}-intake",
            {
                "common": self.common,
                "label": "intake",
                "source": "event_intake",
                "description": "Checks events and puts them on the event stream",
                "code_bucket": args["code"]["name"],
                "links": [args["events"]],
                "timeout_seconds": API_TIMEOUT_SECONDS,
                "memory_mb": 512,
            },
            self.child,
        )

    def _routes(
        self,
        name: str,
        api: aws.apigatewayv2.Api,
        targets: Mapping[str, pulumi.Output[str]],
        authorization: RouteAuthorization,
    ) -> list[aws.apigatewayv2.Route]:
        """Makes a route of each operation of the contract; an operation's tag says what its target is."""
        return [
            aws.apigatewayv2.Route(
                f"{name}-{operation['operationId']}",
                api_id=api.id,
                route_key=route_key,
                target=targets[operation["tags"][0]],
                authorization_type=authorization.type,
                authorizer_id=authorization.authorizer_id,
                opts=self.child,
            )
            for route_key, operation in contract.operations()
        ]

    def _target(self, name: str, label: str, api: aws.apigatewayv2.Api, function: PythonFunction) -> pulumi.Output[str]:
        integration = aws.apigatewayv2.Integration(
            f"{name}-{label}-integration",
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=function.alias_arn,
            payload_format_version="2.0",
            timeout_milliseconds=API_TIMEOUT_SECONDS * 1000,
            opts=self.child,
        )
        aws.lambda_.Permission(
            f"{name}-{label}-api",
            function=function.name,
            qualifier=function.alias_name,
            action="lambda:InvokeFunction",
            principal="apigateway.amazonaws.com",
            # Any route of the one stage.
            source_arn=pulumi.Output.concat(api.execution_arn, f"/{STAGE}/*"),
            opts=self.child,
        )
        return pulumi.Output.concat("integrations/", integration.id)

    def _stage(
        self,
        name: str,
        settings: RecommendationApiSettings,
        api: aws.apigatewayv2.Api,
        routes: Sequence[aws.apigatewayv2.Route],
        logs: aws.cloudwatch.LogGroup,
    ) -> aws.apigatewayv2.Stage:
        return aws.apigatewayv2.Stage(
            f"{name}-stage",
            api_id=api.id,
            name=STAGE,
            auto_deploy=True,
            default_route_settings={
                "throttling_rate_limit": settings["requests_per_second"],
                "throttling_burst_limit": settings["burst"],
            },
            access_log_settings={"destination_arn": logs.arn, "format": json.dumps(ACCESS_LOG)},
            tags=self.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(routes)),
        )

    def _access_logs(self, name: str) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            f"{name}-access-logs",
            retention_in_days=self.stack["log_retention_days"],
            kms_key_id=self.kms_key_arn,
            tags=self.tags,
            opts=self.child,
        )


def _cors(origins: Sequence[str]) -> aws.apigatewayv2.ApiCorsConfigurationArgsDict | None:
    if not origins:
        return None
    signed = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"]
    return {
        "allow_origins": list(origins),
        "allow_methods": [method.upper() for method in contract.METHODS],
        "allow_headers": ["content-type", API_KEY_HEADER, *signed],
        "expose_headers": ["retry-after"],
        "max_age": CORS_SECONDS,
    }
