"""No permission is unused: without any one statement of any one role, what it is for fails, and the error says so."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from functions.shop_seeder.sample_shop import generate
from local import batch
from local.delivery import DeliveryStream
from local.deploy.compute import act_as_lambda_does
from local.errors import LocalRunError
from local.events import Event
from local.program import read_stack
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from tests.local.harness import EVENT, QUICK, impatient, publish, version_name
from tests.training import worlds

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

    def recommend(self, event: Event = EVENT) -> None:
        if self.streaming.send([event], timeout=20):
            raise LocalRunError(self.streaming.reasons())

    def recommend_with_new_version(self) -> None:
        self.load()
        self.recommend()

    def fail_a_record(self) -> None:
        stream = self.streaming.streams[0]
        stream.error_log.refused = None
        self.streaming.send([{"browse_history": "not a list"}], timeout=20)
        if stream.error_log.refused:
            raise LocalRunError(stream.error_log.refused)

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
        batch.run_glue_job(self.deployment, folder)

    def crawl(self) -> None:
        batch.run_crawler(self.deployment)


Exercise = Callable[[System], None]

EXERCISES: dict[tuple[str, str], Exercise] = {
    ("vectors-loader", "WriteLogs"): lambda system: system.start_function("embedding_loader"),
    ("vectors-loader", "AttachToVpc"): lambda system: system.start_function("embedding_loader"),
    ("vectors-loader", "ReadArtifacts"): System.load,
    ("vectors-loader", "ReportFailure"): System.load_spoilt,
    ("source-seeder", "WriteLogs"): lambda system: system.start_function("shop_seeder"),
    ("source-seeder", "AttachToVpc"): lambda system: system.start_function("shop_seeder"),
    ("stream-inference", "WriteLogs"): lambda system: system.start_function("model_inference"),
    ("stream-inference", "AttachToVpc"): lambda system: system.start_function("model_inference"),
    ("stream-inference", "ReadArtifacts"): System.recommend_with_new_version,
    ("stream-transformation", "WriteLogs"): lambda system: system.start_function("stream_transformation"),
    ("stream-transformation", "CallInference"): System.recommend,
    ("stream-delivery", "ReadEvents"): System.open_delivery,
    ("stream-delivery", "FindBucket"): System.open_delivery,
    ("stream-delivery", "Transform"): System.recommend,
    ("stream-delivery", "Deliver"): System.recommend,
    ("stream-delivery", "WriteErrorLogs"): System.fail_a_record,
    ("batch-job", "ReadCode"): System.run_job,
    ("batch-job", "ReadConnection"): System.run_job,
    ("batch-job", "ReadSourceLogin"): System.run_job,
    ("batch-job", "ListDataLake"): System.run_job,
    ("batch-job", "ReplaceTrainingData"): System.run_job,
    ("batch-job", "WriteLogs"): System.run_job,
    ("batch-crawler", "WriteLogs"): System.crawl,
    ("batch-crawler", "ReadTrainingData"): System.crawl,
    ("batch-crawler", "ListDataLake"): System.crawl,
    ("batch-crawler", "WriteCatalog"): System.crawl,
}


@pytest.fixture(scope="module")
def system(artifacts: Path) -> Iterator[System]:
    with (
        tempfile.TemporaryDirectory(prefix="recommender-test-") as temporary,
        running_services(folder := Path(temporary), "us-east-1") as cloud,
    ):
        deployment = deploy(cloud, read_stack("dev", {**QUICK, "source.sample_shop": True}), impatient)
        fill(deployment, folder)
        with Streaming(deployment) as streaming:
            system = System(deployment, streaming, artifacts, folder, count())
            system.load()
            yield system


def fill(deployment: Deployment, folder: Path) -> None:
    """Training data in the lake, as an earlier run left them."""
    lake = worlds.write(
        worlds.shop_table(generate(customers=20, products=16, ratings=100)), worlds.CLASSIC, folder / "lake"
    )
    s3, bucket = deployment.cloud.client("s3"), deployment.output("data_lake_bucket")
    for path in lake.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket=bucket, Key=path.relative_to(lake).as_posix(), Body=path.read_bytes())


@contextmanager
def without(deployment: Deployment, role: str, sid: str) -> Iterator[None]:
    """Takes a statement out of a role's policy for a while."""
    iam = deployment.cloud.client("iam")
    name, policy_name, document = next(entry for entry in policies(deployment) if entry[0].startswith(f"{role}-role"))
    kept = [statement for statement in document["Statement"] if statement["Sid"] != sid]
    assert len(kept) == len(document["Statement"]) - 1
    reduced = json.dumps({**document, "Statement": kept})
    iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=reduced)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=json.dumps(document))


def policies(deployment: Deployment) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every role of the program with its policy."""
    iam = deployment.cloud.client("iam")
    for role in iam.list_roles()["Roles"]:
        for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
            yield role["RoleName"], policy, document


def test_every_statement_of_every_role_is_exercised_here(system: System) -> None:
    declared = {
        (name.rsplit("-role", 1)[0], statement["Sid"])
        for name, _, document in policies(system.deployment)
        for statement in document["Statement"]
        if statement["Sid"] not in NOT_PROVABLE_HERE
    }
    assert declared == set(EXERCISES)


@pytest.mark.parametrize(("role", "sid"), EXERCISES)
def test_without_a_statement_what_it_is_for_is_refused(system: System, role: str, sid: str) -> None:
    with (
        without(system.deployment, role, sid),
        pytest.raises(LocalRunError, match=r"(?i)access ?denied|not authorized|forbidden"),
    ):
        EXERCISES[role, sid](system)


def test_with_all_statements_everything_works(system: System) -> None:
    for exercise in dict.fromkeys(EXERCISES.values()):
        exercise(system)
