"""The API of the whole system: signed requests, API Gateway, functions under their roles, PostgreSQL, Kinesis."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from contracts import api as contract
from emulator.program import read_stack
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from operations.__main__ import main as operations
from operations.run_note import noted_run
from tests.functions.worlds import World, world
from tests.local.harness import QUICK

V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"
REGION = "us-east-1"


@dataclass
class Signed(requests.auth.AuthBase):
    """Signs as a caller; `moment` is the signature's time."""

    credentials: Credentials
    moment: datetime | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signed = AWSRequest(request.method, request.url, data=request.body or b"")
        if self.moment is None:
            SigV4Auth(self.credentials, "execute-api", REGION).add_auth(signed)
        else:
            with mock.patch("botocore.auth.get_current_datetime", return_value=self.moment):
                SigV4Auth(self.credentials, "execute-api", REGION).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


@dataclass
class System:
    deployment: Deployment
    streaming: Streaming
    shops: dict[str, World] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.deployment.output("api_url"))

    @property
    def certificate(self) -> str:
        return str(self.deployment.cloud.aws.ca_bundle)

    def caller(self, name: str, allowed: str | None) -> Credentials:
        """A user of the account who may call what the pattern of routes says."""
        iam = self.deployment.cloud.client("iam")
        iam.create_user(UserName=name)
        if allowed is not None:
            arn = f"{self.deployment.cloud.arn('execute-api', self.url.rsplit('/', 1)[-1])}/$default/{allowed}"
            statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=name, PolicyName="call", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def get(self, path: str, auth: requests.auth.AuthBase | None) -> requests.Response:
        return requests.get(self.url + path, auth=auth, verify=self.certificate, timeout=60)

    def publish(self, version: str, seed: int) -> None:
        self.shops[version] = world(version, seed=seed)
        self.shops[version].publish(self.deployment.cloud.client("s3"), self.deployment.output("ml_artifacts_bucket"))
        self.streaming.wait_for_load(version)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    # pytest's own folders are closed to the database servers' users
    with (
        tempfile.TemporaryDirectory(prefix="recommender-test-") as folder,
        running_services(Path(folder), REGION) as cloud,
    ):
        # Three clients without a pause ask more often than the default limit allows.
        unlimited = {"api.requests_per_second": 2_000, "api.burst": 2_000}
        deployment = deploy(cloud, read_stack("dev", {**QUICK, **unlimited}))
        with Streaming(deployment) as streaming:
            made = System(deployment, streaming)
            made.publish(V1, seed=1)
            yield made


@pytest.fixture(scope="module")
def shop_page(system: System) -> Signed:
    return Signed(system.caller("shop-page", "*"))


def test_a_signed_request_is_answered(system: System, shop_page: Signed) -> None:
    shop = system.shops[V1]
    answer = system.get("/v1/items/I5/similar?limit=3", shop_page).json()
    assert [item["id"] for item in answer["items"]] == shop.best(shop.vector("I5"), 3, ["I5"])
    assert system.get("/v1/health", shop_page).json() == {"status": "ok", "model_version": V1}
    assert system.get("/v1/nowhere", shop_page).status_code == 404


def test_who_does_not_sign_well_is_refused(system: System, shop_page: Signed) -> None:
    good = shop_page.credentials
    wrong = Signed(Credentials(good.access_key, good.secret_key[::-1]))
    expired = Signed(good, datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=20))
    nobody = Signed(system.caller("nobody", None))
    reader = Signed(system.caller("reader", "GET/v1/popular"))
    assert [system.get("/v1/popular", who).status_code for who in (None, wrong, expired, nobody)] == [403] * 4
    assert system.get("/v1/popular", reader).status_code == 200
    assert system.get("/v1/health", reader).status_code == 403, "the policy names one route"


def test_events_come_back_as_recommendation_records(system: System, shop_page: Signed) -> None:
    events: list[Any] = [
        {"session_id": "page", "customer_number": 100, "browse_history": [{"product_code": "I5"}]},
        {"session_id": 1},
    ]
    answer = requests.post(
        f"{system.url}/v1/events", json={"events": events}, auth=shop_page, verify=system.certificate, timeout=60
    )
    taken, refused = answer.json()["results"]
    assert (answer.status_code, taken["status"], refused["status"]) == (200, 202, 400)
    assert system.streaming.wait_for({taken["event_id"]: events[0]}) == []
    record = next(each for each in system.streaming.records() if each["event_id"] == taken["event_id"])
    page = system.get("/v1/recommendations?customer=100&items=I5&limit=5", shop_page).json()
    assert record["recommended_items"] == [{"id": item["id"], "score": item["score"]} for item in page["items"]]


def test_no_request_fails_while_versions_are_switched_and_rolled_back(system: System, shop_page: Signed) -> None:
    system.publish(V2, seed=2)
    answers: list[tuple[int, str, list[str]]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = system.get("/v1/items/I5/similar?limit=3", shop_page)
            content = answer.json()
            ids = [item["id"] for item in content.get("items", [])]
            answers.append((answer.status_code, content.get("model_version", ""), ids))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        for version in (V1, V2):
            system.streaming.activate(version)
            time.sleep(0.3)
    done.set()
    for thread in threads:
        thread.join()
    system.streaming.activate(V1)
    assert {status for status, _, _ in answers} == {200}
    assert {version for _, version, _ in answers} == {V1, V2}
    for _, version, ids in answers:
        shop = system.shops[version]
        assert ids == shop.best(shop.vector("I5"), 3, ["I5"]), "an answer mixes two versions"


def test_the_commands_ask_the_api(system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws, shop = system.deployment.cloud.aws, system.shops[V1]
    with mock.patch.dict("os.environ"), noted_run(tmp_path, aws.environment(aws.root), "", "", system.url):
        run = ["--run", str(tmp_path)]
        assert operations(["similar", "I5", "--limit", "2", *run]) == 0
        shown = capsys.readouterr().out
        assert [line.split()[-1] for line in shown.splitlines()[1:]] == shop.best(shop.vector("I5"), 2, ["I5"])
        assert operations(["popular", "--exclude", "I59", "--json", *run]) == 0
        assert json.loads(capsys.readouterr().out)["items"][0]["id"] == "I58"
        assert operations(["recommend", "--customer", "100", "--items", "I5", *run]) == 0
        assert capsys.readouterr().out.startswith("personalized, by version")
        assert operations(["similar", "no such", *run]) == 1
        assert 'expected an item of the active model version, found "no such"' in capsys.readouterr().err
        assert operations(["popular", "--filter", "line:Planes", "--explain", "--diversity", "0.5", *run]) == 0
        assert capsys.readouterr().out.startswith("nothing, by version")
        assert operations(["popular", "--run", str(tmp_path / "nowhere")]) == 1


def test_a_purchase_put_by_a_command_leaves_the_customers_answers(
    system: System, shop_page: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = system.deployment.cloud.aws
    page = "/v1/recommendations?customer=107&limit=5"
    before = system.get(page, shop_page).json()
    bought = before["items"][0]["id"]
    with mock.patch.dict("os.environ"), noted_run(tmp_path, aws.environment(aws.root), "", "", system.url):
        run = ["--run", str(tmp_path)]
        given = ["--customer", "107", "--items", bought, "--recommendation", before["recommendation_id"]]
        assert operations(["events", "put", "--type", "purchase", "--position", "1", *given, *run]) == 0
        status, event_id = capsys.readouterr().out.split()
        assert status == "202"
        assert system.streaming.wait_for({event_id: {}}) == []
        after = [item["id"] for item in system.get(page, shop_page).json()["items"]]
        assert bought not in after
        assert after[:4] == [item["id"] for item in before["items"][1:]]
        path = tmp_path / "events.json"
        path.write_text(json.dumps([{"session_id": "s", "browse_history": []}, {"session_id": "s", "type": "buy"}]))
        assert operations(["events", "put", str(path), *run]) == 1
        good, wrong = capsys.readouterr().out.splitlines()
        assert good.startswith("202  ")
        assert wrong.startswith("400  events[1].type: expected one of browse, cart, ")
        assert operations(["events", "put", str(tmp_path / "none.json"), *run]) == 1
        assert "none.json: cannot be read" in capsys.readouterr().err


CONFIG = SchemathesisConfig()
SCHEMA = schemathesis.openapi.from_dict(dict(contract.document()), config=CONFIG)
MAX_REQUEST_LINE = 10_240
"""Bytes, with the headers: API Gateway lets no more through to the function (developer guide, "Quotas for configuring
and running an HTTP API"), and MiniStack's server little more."""
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_of_the_contract(case: Any, system: System) -> None:
    # Signed by the account itself: to MiniStack, a policy's `*` is not a path that has a line end in it.
    root = system.deployment.cloud.aws.root
    signed = Signed(Credentials(root.access_key_id, root.secret_access_key))
    answer = case.call(base_url=system.url, auth=signed, verify=system.certificate, timeout=60)
    if answer.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        assert len(answer.request.url) > MAX_REQUEST_LINE
        return
    case.validate_response(answer, checks=CHECKS)
