"""The system at work, what each role's permissions are exercised by, and how to take one away."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from contracts.mysql import Login
from emulator.clock import SystemClock
from emulator.delivery import DeliveryStream
from emulator.delivery.records import SourceRecord
from emulator.deploy.compute import act_as_lambda_does
from emulator.errors import LocalRunError
from emulator.event_source import EventSource
from emulator.event_source.failure import send_failure
from emulator.event_source.kinesis_event import Batch
from emulator.program import read_stack
from local import glue_stage
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from operations.api import Client
from tests.databases import execute
from tests.emulator.aws import wait_until
from tests.local.harness import EVENT, QUICK, impatient, publish, version_name

REFUSED = r"(?i)access ?denied|not authorized|forbidden"
NOT_PROVABLE_HERE = {"Trace": "the emulator has no X-Ray"}


@dataclass
class System:
    """The system at work, and what each role's permissions are exercised by."""

    deployment: Deployment
    streaming: Streaming
    artifacts: Path
    folder: Path
    numbers: Iterator[int]

    def load(self) -> None:
        version = version_name(next(self.numbers))
        publish(self.deployment, self.artifacts, version)
        self.streaming.wait_for_load(version)

    def load_spoilt(self) -> None:
        publish(self.deployment, self.artifacts, version_name(next(self.numbers)), spoil="item_embeddings.csv")
        delivery = self.streaming.next_load()
        if not delivery.dead_lettered_to:
            raise LocalRunError(f"not kept: {delivery.error}")

    def recommend(self) -> None:
        """Raises as soon as something on an event's way tells of a refusal."""
        loops = [*self.streaming.event_sources, *self.streaming.streams]
        for loop in loops:
            loop.problems.clear()
        sent = self.streaming.put([EVENT])

        def refusals() -> list[str]:
            return [problem for loop in loops for problem in loop.problems if re.search(REFUSED, problem)]

        wait_until(lambda: bool(self.streaming.versions(sent) or refusals()), seconds=60)
        if found := refusals():
            raise LocalRunError(found[-1])

    def recommend_with_new_version(self) -> None:
        self.load()
        self.recommend()

    def ask_api_with_new_version(self) -> None:
        self.load()
        self._ask("recommendation_api", "/v1/health")

    def post_event(self) -> None:
        self._ask("event_intake", "/v1/events", {"events": [EVENT]})

    def _ask(self, function: str, path: str, body: Any = None) -> None:
        """Raises with the function's log where the API does not answer with 200."""
        aws = self.deployment.cloud.aws
        with mock.patch.dict("os.environ", aws.environment(aws.root)):
            answer = Client(self.deployment.output("api_url")).ask(path, body=body)
        if answer.status != 200:
            raise LocalRunError(f"{answer.json}\n{aws.function_logs(self.deployment.function(function)[0])}")

    def refresh_with_new_item(self) -> None:
        """Has the schedule call the refresh, which needs the item tower for a product that is new."""
        login = self.deployment.database("mysql")
        assert login is not None
        code = f"N{next(self.numbers)}"
        row = f"('{code}', 'New', 'Ships', '1:10', 'A vendor', '', 5, 10, 20)"
        execute(
            Login(login.server.host, login.server.port, login.database, login.username, login.password),
            [f"INSERT INTO products VALUES {row}"],
        )
        name, _ = self.deployment.function("catalog_refresh")
        result = self.deployment.cloud.schedules.call(self.deployment.cloud.arn("lambda", f"function:{name}"))
        if result.error:
            raise LocalRunError(result.error)

    def fail_a_record(self) -> None:
        stream = self.streaming.streams[0]
        stream.error_log.refused = None
        self.streaming.send([{"browse_history": "not a list"}], timeout=20)
        if stream.error_log.refused:
            raise LocalRunError(stream.error_log.refused)

    def keep_a_poison_record(self) -> None:
        """Has the transformation keep what it can never recommend for."""
        (source,) = self.streaming.event_sources
        source.problems.clear()
        before = len(self.streaming.failures())
        self.streaming.put([{"browse_history": "not a list"}])
        wait_until(lambda: bool(len(self.streaming.failures()) > before or source.problems), seconds=30)
        if source.problems:
            raise LocalRunError(source.problems[-1])

    def give_up_a_batch(self) -> None:
        """Sends a batch to the failure destination, as Lambda does when its retries are used up."""
        (source,), aws = self.streaming.event_sources, self.deployment.cloud.aws
        batch = Batch([SourceRecord(b"{}", 0, "shardId-000000000000", "1", "key")])
        role = aws.role(source.settings.role_arn, "lambda.amazonaws.com", "event-source")
        condition = "RetryAttemptsExhausted"
        lost = send_failure(role, source.settings, "shardId-000000000000", batch, condition, SystemClock())
        if lost:
            raise LocalRunError(lost)

    def open_event_source(self) -> None:
        cloud = self.deployment.cloud
        source = EventSource(cloud.aws, next(iter(cloud.event_sources.values())))
        source.start()
        source.stop(drain=False)

    def open_delivery(self) -> None:
        cloud = self.deployment.cloud
        stream = DeliveryStream(cloud.aws, next(iter(cloud.delivery_streams.values())))
        stream.start()
        stream.stop(drain=False)

    def start_function(self, folder: str) -> None:
        name, resource = self.deployment.function(folder)
        act_as_lambda_does(self.deployment.cloud, resource, name)

    def run_job(self) -> None:
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        glue_stage.run_glue_job(self.deployment, folder)

    def crawl(self) -> None:
        glue_stage.crawl_by(self.deployment, list(self.deployment.cloud.crawlers))

    def run_job_and_crawl(self) -> None:
        self.run_job()
        glue_stage.run_crawler(self.deployment)


Exercise = Callable[[System], None]


@contextmanager
def running_system(artifacts: Path, settings: dict[str, object]) -> Iterator[System]:
    """The whole system with a version loaded."""
    with (
        # pytest's own folders are closed to the database servers' users
        tempfile.TemporaryDirectory(prefix="recommender-test-") as temporary,
        running_services(folder := Path(temporary), "us-east-1") as cloud,
    ):
        deployment = deploy(cloud, read_stack("dev", {**QUICK, **settings}), impatient)
        with Streaming(deployment) as streaming:
            system = System(deployment, streaming, artifacts, folder, count())
            system.load()
            yield system


@contextmanager
def without(deployment: Deployment, role: str, sid: str) -> Iterator[None]:
    """Takes a statement out of a role's policy for a while."""
    iam = deployment.cloud.client("iam")
    name, policy_name, document = next(entry for entry in policies(deployment) if entry[0].startswith(f"{role}-role"))
    kept = [statement for statement in document["Statement"] if statement["Sid"] != sid]
    assert len(kept) == len(document["Statement"]) - 1
    if kept:
        reduced = json.dumps({**document, "Statement": kept})
        iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=reduced)
    else:
        iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=json.dumps(document))


def declared(deployment: Deployment) -> set[tuple[str, str]]:
    """Role and statement, of all that can be proved here."""
    return {
        (name.rsplit("-role", 1)[0], statement["Sid"])
        for name, _, document in policies(deployment)
        for statement in document["Statement"]
        if statement["Sid"] not in NOT_PROVABLE_HERE
    }


def refused_without(system: System, role: str, sid: str, exercise: Exercise) -> None:
    """Asserts that what the statement is for is refused without it, in words."""
    with without(system.deployment, role, sid), pytest.raises(LocalRunError, match=REFUSED):
        exercise(system)


def policies(deployment: Deployment) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every role of the program with its policy."""
    iam = deployment.cloud.client("iam")
    for role in iam.list_roles()["Roles"]:
        for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
            yield role["RoleName"], policy, document
