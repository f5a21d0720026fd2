"""API Gateway on this machine: tokens, keys and origins are checked, and what AWS would refuse is refused."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import components
from components.common import CommonArgs
from emulator.deploy.api import check_calls
from emulator.deploy.cloud import Cloud
from emulator.deploy.monitor import Edit, LocalMocks, LocalMonitor
from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.program import Stack, run
from emulator.throttle import Throttle
from local.session import running_services
from tests.emulator.aws import FakeClock, wait_until

ORIGIN = "https://shop.example"
COMMON: CommonArgs = {"settings": {"bundle_dependencies": False, "force_destroy": True}}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder: Path = tmp_path_factory.mktemp("api-gateway")
    with running_services(folder, "us-east-1") as cloud:
        yield cloud


def deploy(
    cloud: Cloud, name: str, settings: components.RecommendationApiSettings, edit: Edit = lambda resource: resource
) -> str:
    """The API alone, without what its functions use. Returns its address."""
    nothing: components.Link = {"variables": {"EVENT_STREAM_NAME": "none"}, "statements": [], "security_group_ids": []}

    def program() -> None:
        network = components.Network(f"{name}-network", {"common": COMMON})
        client = network.placement["s3_client_security_group_id"]
        components.RecommendationApi(
            name,
            {
                "common": COMMON,
                "settings": {**settings, "cors_origins": [ORIGIN]},
                "placement": network.placement,
                "store": {"variables": {"VECTOR_DB_HOST": ""}, "statements": [], "security_group_ids": [client]},
                "events": nothing,
                "code": components.PrivateBucket(f"{name}-code", {"common": COMMON}).reference,
            },
        )

    mocks = LocalMocks(cloud, edit)
    run(program, mocks, LocalMonitor(mocks), Stack("test", {"aws:region": "us-east-1"}))
    check_calls(cloud)
    apis = cloud.client("apigatewayv2").get_apis()["Items"]
    (id_,) = [api["ApiId"] for api in apis if api["Name"].startswith(f"{name}-http")]
    return f"{cloud.aws.endpoint_url}/_aws/execute-api/{id_}"


def post(cloud: Cloud, url: str, **headers: str) -> requests.Response:
    """An empty list of events: refused by the function, with 400, if the request comes so far."""
    return requests.post(
        f"{url}/v1/events", json={"events": []}, headers=headers, verify=str(cloud.aws.ca_bundle), timeout=60
    )


@pytest.fixture(scope="module")
def by_key(cloud: Cloud) -> str:
    return deploy(cloud, "keyed", {"authorization": components.Authorization.API_KEY})


def test_a_key_of_the_secret_lets_in_and_any_other_does_not(cloud: Cloud, by_key: str) -> None:
    secrets = cloud.client("secretsmanager")
    (name,) = [each["Name"] for each in secrets.list_secrets()["SecretList"] if each["Name"].startswith("keyed")]
    keys = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    assert post(cloud, by_key, **{"x-api-key": keys["default"]}).status_code == 400
    assert post(cloud, by_key, **{"x-api-key": keys["default"][:-1]}).status_code == 403
    assert post(cloud, by_key).status_code == 401


def test_requests_over_the_stages_limits_are_answered_with_429_until_the_bucket_fills_again(cloud: Cloud) -> None:
    url = deploy(
        cloud, "slow", {"authorization": components.Authorization.API_KEY, "requests_per_second": 1, "burst": 3}
    )
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: post(cloud, url), range(12)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert len(answers) - len(refused) >= 3, "the burst"
    assert refused[0].json() == {"message": "Too Many Requests"}
    wait_until(lambda: post(cloud, url).status_code == 401, seconds=30)


def test_a_bucket_holds_the_burst_and_fills_by_the_rate() -> None:
    clock = FakeClock()
    throttle = Throttle(clock.monotonic)
    settings = {"throttlingRateLimit": 2, "throttlingBurstLimit": 3}

    def passed(requests: int, stage: str = "$default") -> int:
        return sum(throttle.refusal("api", stage, settings) is None for _ in range(requests))

    assert (passed(5), passed(5, "other")) == (3, 3)
    for seconds, expected in ((0.4, 0), (0.2, 1), (1.0, 2), (60.0, 3)):
        clock.sleep(seconds)
        assert passed(5) == expected
    assert throttle.refusal("api", "free", {}) is None


def test_only_pages_of_the_settings_origins_may_call(cloud: Cloud, by_key: str) -> None:
    def preflight(origin: str) -> requests.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        return requests.options(f"{by_key}/v1/popular", headers=headers, verify=str(cloud.aws.ca_bundle), timeout=60)

    allowed = preflight(ORIGIN)
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert set(allowed.headers["access-control-allow-methods"].split(",")) == {"GET", "POST"}
    assert "x-api-key" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in preflight("https://elsewhere.example").headers
    nowhere = requests.get(f"{by_key}/v1/nowhere", verify=str(cloud.aws.ca_bundle), timeout=60)
    assert nowhere.status_code == 404


Token = Callable[..., str]


@contextmanager
def issuer() -> Iterator[tuple[str, Token]]:
    """An issuer of tokens at an address of this machine, and what signs them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.public_key().public_numbers()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            jwk = {"kid": "1", "kty": "RSA", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}
            body = json.dumps({"keys": [jwk]} if self.path.endswith("jwks.json") else {}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"

    def token(signer: rsa.RSAPrivateKey = key, **claims: Any) -> str:
        given = {"iss": address, "aud": "shop", "exp": time.time() + 60, **claims}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, given))
        return f"{signed}.{_base64(signer.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    try:
        yield address, token
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_of_the_issuer_lets_in_and_any_other_does_not(cloud: Cloud) -> None:
    settings: components.RecommendationApiSettings = {
        "authorization": components.Authorization.JWT,
        "jwt_issuer": "https://id.example",
        "jwt_audience": ["shop"],
    }
    with issuer() as (address, token):

        def at_this_machine(resource: Resource) -> Resource:
            if not resource.type.endswith(":Authorizer"):
                return resource
            jwt = {"issuer": address, "audiences": ["shop"]}
            return replace(resource, inputs={**resource.inputs, "jwtConfiguration": jwt})

        url = deploy(cloud, "tokens", settings, at_this_machine)
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        tokens = {
            "right": token(),
            "expired": token(exp=time.time() - 60),
            "of another issuer": token(iss="https://elsewhere.example"),
            "for another audience": token(aud="bank"),
            "of a stranger": token(stranger),
            "no token": "abc",
        }
        found = {name: post(cloud, url, authorization=f"Bearer {text}").status_code for name, text in tokens.items()}
        assert post(cloud, url).status_code == 401
    assert found.pop("right") == 400
    assert set(found.values()) == {401}, found


def test_a_function_that_api_gateway_may_not_call_fails_the_deployment(cloud: Cloud) -> None:
    def for_another_route(resource: Resource) -> Resource:
        if not resource.type.endswith(":Permission"):
            return resource
        source = resource["sourceArn"].replace("/*", "/GET/v1/popular")
        return replace(resource, inputs={**resource.inputs, "sourceArn": source})

    before = list(cloud.gateway_calls)
    with pytest.raises(LocalRunError, match=r"does not let apigateway\.amazonaws\.com call it for .*/POST/v1/events"):
        deploy(cloud, "shut", {}, for_another_route)
    cloud.gateway_calls[:] = before


def test_an_input_that_has_no_effect_here_is_refused_by_name(cloud: Cloud) -> None:
    def with_a_body(resource: Resource) -> Resource:
        return (
            replace(resource, inputs={**resource.inputs, "body": "{}"}) if resource.type.endswith(":Api") else resource
        )

    with pytest.raises(LocalRunError, match=r"apigatewayv2/api:Api .* does not carry out body"):
        deploy(cloud, "imported", {}, with_a_body)


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
