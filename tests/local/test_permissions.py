"""No permission is unused: without any one statement of any one role, what it is for fails, and the error says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shop_seeder.sample_shop import generate
from local.session import Deployment
from tests.local.permissions import Exercise, System, declared, refused_without, running_system
from tests.training import worlds

EXERCISES: dict[tuple[str, str], Exercise] = {
    # First, while the function has no earlier version's model in memory, from which it would answer.
    ("api-recommendations", "ReadArtifacts"): System.ask_api_with_new_version,
    ("api-recommendations", "WriteLogs"): lambda system: system.start_function("recommendation_api"),
    ("api-recommendations", "AttachToVpc"): lambda system: system.start_function("recommendation_api"),
    ("api-intake", "WriteLogs"): lambda system: system.start_function("event_intake"),
    ("api-intake", "PutEvents"): System.post_event,
    ("vectors-loader", "WriteLogs"): lambda system: system.start_function("embedding_loader"),
    ("vectors-loader", "AttachToVpc"): lambda system: system.start_function("embedding_loader"),
    ("vectors-loader", "ReadArtifacts"): System.load,
    ("vectors-loader", "ReportFailure"): System.load_spoilt,
    ("catalogue-refresh", "WriteLogs"): lambda system: system.start_function("catalog_refresh"),
    ("catalogue-refresh", "AttachToVpc"): lambda system: system.start_function("catalog_refresh"),
    ("catalogue-refresh", "ReadArtifacts"): System.refresh_with_new_item,
    ("catalogue-refresh", "ReadSourceLogin"): System.refresh_with_new_item,
    ("catalogue-schedule", "CallRefresh"): System.refresh_with_new_item,
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
    ("batch-job", "AttachToVpc"): System.run_job,
    ("batch-job", "TagInterfaces"): System.run_job,
    ("batch-job", "WriteMetrics"): System.run_job,
    ("batch-start-workflow", "StartWorkflow"): System.run_job_and_crawl,
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
    with running_system(artifacts, {"source.sample_shop": True}) as system:
        fill(system.deployment, system.folder)
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


def test_every_statement_of_every_role_is_exercised_here(system: System) -> None:
    assert declared(system.deployment) == set(EXERCISES)


@pytest.mark.parametrize(("role", "sid"), EXERCISES)
def test_without_a_statement_what_it_is_for_is_refused(system: System, role: str, sid: str) -> None:
    refused_without(system, role, sid, EXERCISES[role, sid])


def test_with_all_statements_everything_works(system: System) -> None:
    for exercise in dict.fromkeys(EXERCISES.values()):
        exercise(system)
