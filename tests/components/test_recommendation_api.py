"""API Gateway, its two functions, and who may call them."""

import json
from typing import Any

import pytest

from components import Authorization, Link, RecommendationApi
from contracts import api as contract
from local.graph.recorder import Graph, build
from tests.components.shared import CODE, COMMON, PLACEMENT, STORE

EVENTS: Link = {"variables": {"EVENT_STREAM_NAME": "events"}, "statements": [], "security_group_ids": []}
DOMAIN = {
    "domain_name": "api.shop.example.com",
    "certificate_arn": "arn:aws:acm:eu-west-1:111122223333:certificate/4f1c",
}
JWT = {"authorization": Authorization.JWT, "jwt_issuer": "https://id.example", "jwt_audience": ["shop"]}


def api(**settings: Any) -> Graph:
    args: Any = {
        "common": COMMON,
        "settings": settings,
        "placement": PLACEMENT,
        "store": STORE,
        "events": EVENTS,
        "code": CODE,
    }
    return build(lambda: RecommendationApi("api", args))


def test_each_operation_of_the_contract_is_a_route_to_its_function() -> None:
    graph = api()
    routes = {node.inputs["routeKey"]: node.inputs["target"] for node in graph.of("Route")}
    assert set(routes) == {key for key, _ in contract.operations()}
    to_intake = {key for key, target in routes.items() if target == "integrations/api-intake-integration-id"}
    assert to_intake == {"POST /v1/events"}
    assert {routes[key] for key in set(routes) - to_intake} == {"integrations/api-recommendations-integration-id"}


def test_what_reads_the_store_runs_in_the_vpc_and_what_puts_events_outside() -> None:
    graph = api()
    recommend = graph.one("lambda/function:Function", "recommendations").inputs
    assert recommend["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-db", "sg-s3"]}
    assert recommend["environment"]["variables"] == STORE["variables"]
    intake = graph.one("lambda/function:Function", "intake").inputs
    assert "vpcConfig" not in intake
    assert intake["environment"]["variables"] == EVENTS["variables"]


@pytest.mark.parametrize(
    ("settings", "type_", "authorizer"),
    [
        ({}, "AWS_IAM", None),
        (JWT, "JWT", "api-jwt-id"),
        ({"authorization": Authorization.API_KEY}, "CUSTOM", "api-keys-authorizer-id"),
    ],
)
def test_no_route_is_open(settings: dict[str, Any], type_: str, authorizer: str | None) -> None:
    for route in api(**settings).of("Route"):
        assert (route.inputs["authorizationType"], route.inputs.get("authorizerId")) == (type_, authorizer), route.name


def test_api_gateway_alone_may_call_each_function_and_for_this_api_alone() -> None:
    graph = api(authorization=Authorization.API_KEY)
    sources = {node.name: node.inputs["sourceArn"].rpartition(":")[2] for node in graph.of("Permission")}
    assert sources == {
        "api-recommendations-api": "api-http/$default/*",
        "api-intake-api": "api-http/$default/*",
        "api-keys-api": "api-http/authorizers/api-keys-authorizer-id",
    }
    assert {node.inputs["principal"] for node in graph.of("Permission")} == {"apigateway.amazonaws.com"}


def test_keys_lie_in_a_secret_alone_and_are_the_owners_to_change() -> None:
    graph = api(authorization=Authorization.API_KEY)
    first = graph.one("RandomPassword", "api-keys").name + "-result"
    assert json.loads(graph.one("SecretVersion").inputs["secretString"]) == {"default": first}
    assert first not in json.dumps([node.inputs for node in graph.of("lambda/function:Function")], default=str)
    statements = json.loads(graph.one("RolePolicy", "api-keys").inputs["policy"])["Statement"]
    (read,) = [each for each in statements if each["Sid"] == "ReadKeys"]
    assert (read["Action"], read["Resource"]) == (
        ["secretsmanager:GetSecretValue"],
        ["arn:aws:secretsmanager:eu-west-1:111122223333:api-keys-keys"],
    )


def test_the_access_log_holds_nobodys_address_path_or_query() -> None:
    stage = api().one("Stage").inputs
    fields = set(json.loads(stage["accessLogSettings"]["format"]).values())
    personal = ("identity", "path", "query", "authorizer.claims", "header", "domainName")
    assert not [field for field in fields if any(word in field for word in personal)]
    assert "$context.routeKey" in fields
    throttling = {"throttlingRateLimit": 50, "throttlingBurstLimit": 50}
    assert {key: stage["defaultRouteSettings"][key] for key in throttling} == throttling


def test_a_page_may_call_only_from_the_origins_of_the_settings() -> None:
    assert "corsConfiguration" not in api().one("Api").inputs
    cors: Any = api(cors_origins=["https://shop.example"]).one("Api").inputs["corsConfiguration"]
    assert cors["allowOrigins"] == ["https://shop.example"]
    assert "x-api-key" in cors["allowHeaders"]
    assert not cors.get("allowCredentials")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"requests_per_second": 0}, "requests_per_second: expected 1 to 10000, got 0"),
        ({"latency_alarm_ms": 30_000}, "latency_alarm_ms: expected 50 to 29000"),
        ({"cors_origins": ["shop.example"]}, "cors_origins: expected origins such as"),
        ({"authorization": "none"}, "authorization: expected one of iam, jwt, api_key, got 'none'"),
        ({**JWT, "jwt_issuer": "id.example"}, "jwt_issuer: expected the issuer's URL"),
        ({**JWT, "jwt_audience": []}, "jwt_audience: expected one audience or more"),
        ({"jwt_audience": ["shop"]}, "expected with authorization jwt alone, got iam"),
        ({"domain_name": "api.shop.example.com"}, "certificate_arn: expected beside domain_name"),
        ({"certificate_arn": DOMAIN["certificate_arn"]}, "domain_name: expected beside certificate_arn"),
        ({"hosted_zone_id": "Z1"}, "hosted_zone_id: expected beside domain_name"),
        ({**DOMAIN, "domain_name": "https://api.shop.example.com"}, "domain_name: expected a name such as"),
        ({**DOMAIN, "domain_name": "*.shop.example.com"}, "domain_name: expected a name such as"),
        ({**DOMAIN, "certificate_arn": "4f1c"}, "certificate_arn: expected the ARN of a certificate"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        api(**settings)


def test_a_domain_of_the_shops_own_takes_the_place_of_the_made_up_address() -> None:
    graph = api(**DOMAIN, hosted_zone_id="Z08422512PF3UHKBHN9GE")
    domain, mapping = graph.one("DomainName").inputs, graph.one("ApiMapping").inputs
    assert domain["domainName"] == DOMAIN["domain_name"]
    assert domain["domainNameConfiguration"] == {
        "certificateArn": DOMAIN["certificate_arn"],
        "endpointType": "REGIONAL",
        "securityPolicy": "TLS_1_2",
    }
    assert (mapping["apiId"], mapping["stage"]) == ("api-http-id", "$default")
    assert graph.one("apigatewayv2/api:Api").inputs["disableExecuteApiEndpoint"] is True
    record = graph.one("route53/record:Record").inputs
    assert (record["name"], record["type"], record["zoneId"]) == (DOMAIN["domain_name"], "A", "Z08422512PF3UHKBHN9GE")
    assert not api(**DOMAIN).of("route53/record:Record")
    assert not api().of("DomainName")
    assert "disableExecuteApiEndpoint" not in api().one("apigatewayv2/api:Api").inputs
