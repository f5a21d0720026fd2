"""The Glue job, its connection and the catalog."""

import json
from typing import Any

import pytest

from components import BatchPipeline
from local.graph.recorder import Graph, build
from tests.components.shared import COMMON


def pipeline(**settings: Any) -> Graph:
    def program() -> None:
        args: Any = {
            **COMMON,
            **settings,
            "jdbc_url": "jdbc:mysql://db:3306/shop",
            "secret_arn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:login",
            "client_security_group_ids": ["sg-db", "sg-s3"],
            "vpc_id": "vpc-1",
            "subnet_id": "subnet-1",
            "code_bucket": "code",
            "code_bucket_arn": "arn:aws:s3:::code",
            "dataset_file": "dataset.toml",
            "training_data_name": "ratings-ml-training",
        }
        BatchPipeline("batch", args)

    return build(program)


def test_the_connection_names_a_secret_and_no_password() -> None:
    connection = pipeline().one("glue/connection:Connection").inputs
    assert set(connection["connectionProperties"]) == {"JDBC_CONNECTION_URL", "SECRET_ID"}


def test_the_jobs_security_group_allows_itself() -> None:
    graph = pipeline()
    group = f"{graph.one('SecurityGroup').name}-id"
    for rule in (graph.one("SecurityGroupIngressRule").inputs, graph.one("SecurityGroupEgressRule").inputs):
        assert rule["securityGroupId"] == rule["referencedSecurityGroupId"] == group
    groups = graph.one("glue/connection:Connection").inputs["physicalConnectionRequirements"]["securityGroupIdLists"]
    assert groups == [group, "sg-db", "sg-s3"]


def test_the_job_ends_runs_once_at_a_time_and_replaces_instead_of_bookmarking() -> None:
    job = pipeline().one("glue/job:Job").inputs
    assert job["timeout"] == 60
    assert job["executionProperty"] == {"maxConcurrentRuns": 1}
    assert job["defaultArguments"]["--job-bookmark-option"] == "job-bookmark-disable"
    assert job["glueVersion"] == "5.1"


def test_the_crawler_follows_the_jobs_success_and_a_schedule_is_an_option() -> None:
    graph = pipeline()
    trigger = graph.one("Trigger").inputs
    assert trigger["predicate"]["conditions"][0]["state"] == "SUCCEEDED"
    assert trigger["actions"] == [{"crawlerName": f"{graph.one('Crawler').name}-name"}]
    scheduled = pipeline(schedule="cron(0 3 * * ? *)").one("Trigger", "schedule").inputs
    assert (scheduled["type"], scheduled["schedule"]) == ("SCHEDULED", "cron(0 3 * * ? *)")


def test_query_results_are_encrypted_and_expire() -> None:
    graph = pipeline()
    results = graph.one("Workgroup").inputs["configuration"]["resultConfiguration"]
    assert results["encryptionConfiguration"] == {"encryptionOption": "SSE_S3"}
    rules = graph.one("BucketLifecycleConfiguration").inputs["rules"]
    assert [rule["filter"] for rule in rules if rule["id"] == "expire"] == [{"prefix": "athena-results/"}]


def test_the_job_may_write_the_data_lake_and_read_the_code_and_nothing_else_on_s3() -> None:
    statements = json.loads(pipeline().one("RolePolicy", "job").inputs["policy"])["Statement"]
    on_s3 = {
        resource
        for statement in statements
        if any(action.startswith("s3:") for action in statement["Action"])
        for resource in statement["Resource"]
    }
    lake = "arn:aws:s3:eu-west-1:111122223333:batch-data-lake-bucket"
    assert on_s3 == {"arn:aws:s3:::code/etl/*", lake, f"{lake}/*"}


def test_fewer_workers_than_glue_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="workers: expected 2 or more"):
        pipeline(workers=1)
