"""The Glue job, its connection and the catalog."""

import json
from typing import Any

from components import BatchPipeline, CommonArgs, Link
from local.graph.recorder import Graph, build
from tests.components.shared import CODE, COMMON, PLACEMENT

LOGIN = "arn:aws:s3:::code/source/login.json"
SOURCE: Link = {
    "variables": {"login_uri": "s3://code/source/login.json"},
    "statements": [{"sid": "ReadSourceLogin", "actions": ["s3:GetObject"], "resources": [LOGIN]}],
    "security_group_ids": ["sg-db"],
}


def pipeline(common: CommonArgs = COMMON, **settings: Any) -> Graph:
    args: Any = {
        "common": common,
        "settings": settings,
        "placement": PLACEMENT,
        "source": SOURCE,
        "code": CODE,
        "dataset_file": "dataset.toml",
        "training_data_name": "ratings-ml-training",
    }
    return build(lambda: BatchPipeline("batch", args))


def test_the_login_is_an_object_that_the_subnet_reaches_and_the_connection_has_none() -> None:
    graph = pipeline()
    connection = graph.one("glue/connection:Connection").inputs
    assert connection["connectionType"] == "NETWORK"
    assert "connectionProperties" not in connection
    assert graph.one("glue/job:Job").inputs["defaultArguments"]["--login_uri"] == "s3://code/source/login.json"
    reads = statements(graph, "job")["ReadSourceLogin"]
    assert (reads["Action"], reads["Resource"]) == (["s3:GetObject"], [LOGIN])


def statements(graph: Graph, role: str) -> dict[str, Any]:
    document = json.loads(graph.one("RolePolicy", role).inputs["policy"])
    return {statement["Sid"]: statement for statement in document["Statement"]}


def test_the_jobs_role_may_make_the_network_interfaces_of_its_connection() -> None:
    held = statements(pipeline(), "job")
    assert set(held["AttachToVpc"]["Action"]) == {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVpcAttribute",
    }
    tags = held["TagInterfaces"]
    assert tags["Action"] == ["ec2:CreateTags", "ec2:DeleteTags"]
    assert tags["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}


def test_metrics_and_partition_indexes_are_allowed_where_they_are_made() -> None:
    graph = pipeline()
    assert "--enable-metrics" in graph.one("glue/job:Job").inputs["defaultArguments"]
    metrics = statements(graph, "job")["WriteMetrics"]
    assert metrics["Action"] == ["cloudwatch:PutMetricData"]
    assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Glue"}}
    assert "glue:CreatePartitionIndex" in statements(graph, "crawler")["WriteCatalog"]["Action"]
    for role in ("job", "crawler"):
        assert set(statements(graph, role)["ListDataLake"]["Action"]) == {"s3:ListBucket", "s3:GetBucketLocation"}


def test_the_jobs_logs_go_to_groups_of_the_stack_that_do_not_keep_them_for_ever() -> None:
    graph = pipeline({"settings": {"log_retention_days": 90}})
    prefix = graph.one("glue/job:Job").inputs["defaultArguments"]["--custom-logGroup-prefix"]
    groups = {node.inputs["name"]: node.inputs["retentionInDays"] for node in graph.of("LogGroup")}
    assert groups == {f"{prefix}/output": 90, f"{prefix}/error": 90}


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


def test_the_crawler_follows_the_jobs_success_whoever_started_the_job() -> None:
    graph = pipeline()
    rule = graph.one("EventRule")
    assert json.loads(rule.inputs["eventPattern"])["detail"] == {
        "jobName": [f"{graph.one('glue/job:Job').name}-name"],
        "state": ["SUCCEEDED"],
    }
    workflow = graph.one("Workflow").name
    target = graph.one("EventTarget").inputs
    assert target["arn"].endswith(workflow)
    role = statements(graph, "start-workflow")["StartWorkflow"]
    assert (role["Action"], role["Resource"]) == (["glue:notifyEvent"], [target["arn"]])
    trigger = graph.one("Trigger").inputs
    assert (trigger["type"], trigger["workflowName"]) == ("EVENT", f"{workflow}-name")
    assert trigger["actions"] == [{"crawlerName": f"{graph.one('Crawler').name}-name"}]


def test_a_schedule_is_an_option() -> None:
    scheduled = pipeline(schedule="cron(0 3 * * ? *)").one("Trigger", "schedule").inputs
    assert (scheduled["type"], scheduled["schedule"]) == ("SCHEDULED", "cron(0 3 * * ? *)")


def test_query_results_are_encrypted_and_expire() -> None:
    graph = pipeline()
    results = graph.one("Workgroup").inputs["configuration"]["resultConfiguration"]
    assert results["encryptionConfiguration"] == {"encryptionOption": "SSE_S3"}
    rules = graph.one("BucketLifecycleConfiguration").inputs["rules"]
    assert [rule["filter"] for rule in rules if rule["id"] == "expire"] == [{"prefix": "athena-results/"}]


def test_the_job_may_write_the_data_lake_and_read_the_code_and_nothing_else_on_s3() -> None:
    on_s3 = {
        resource
        for statement in statements(pipeline(), "job").values()
        if any(action.startswith("s3:") for action in statement["Action"])
        for resource in statement["Resource"]
    }
    lake = "arn:aws:s3:eu-west-1:111122223333:batch-data-lake-bucket"
    assert on_s3 == {"arn:aws:s3:::code/etl/*", LOGIN, lake, f"{lake}/*"}
