"""Kinesis, Firehose and the two functions."""

import json
from typing import Any

import pytest

from components import StreamingRecommender
from components.streaming_recommender import INFERENCE_TIMEOUT_SECONDS, TRANSFORMATION_TIMEOUT_SECONDS
from functions.shared import environment
from local.graph.recorder import Graph, build
from tests.components.shared import CODE, COMMON, PLACEMENT, STORE

FIREHOSE_WAITS_SECONDS = 300


def recommender(**settings: Any) -> Graph:
    args: Any = {
        "common": COMMON,
        "settings": settings,
        "placement": PLACEMENT,
        "store": STORE,
        "code": CODE,
    }
    return build(lambda: StreamingRecommender("stream", args))


def delivery(graph: Graph) -> dict[str, Any]:
    return dict(graph.one("FirehoseDeliveryStream").inputs["extendedS3Configuration"])


def processor(graph: Graph) -> dict[str, str]:
    parameters = delivery(graph)["processingConfiguration"]["processors"][0]["parameters"]
    return {entry["parameterName"]: entry["parameterValue"] for entry in parameters}


def test_processor_parameters_at_their_defaults_are_left_out() -> None:
    assert set(processor(recommender(processor_buffer_mb=1, processor_buffer_seconds=60))) == {"LambdaArn"}
    assert processor(recommender())["BufferSizeInMBs"] == "0.2", "a megabyte of events answers with more than 6 MB"
    assert processor(recommender(processor_buffer_seconds=5))["BufferIntervalInSeconds"] == "5"


def test_the_delivery_stream_waits_for_its_roles_policy() -> None:
    graph = recommender()
    assert graph.one("RolePolicy", "stream-delivery").urn in graph.one("FirehoseDeliveryStream").depends_on


def test_the_transformation_runs_outside_the_vpc_and_inference_inside() -> None:
    graph = recommender()
    assert "vpcConfig" not in graph.one("lambda/function:Function", "transformation").inputs
    inference = graph.one("lambda/function:Function", "inference").inputs
    assert inference["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-db", "sg-s3"]}
    assert inference["environment"]["variables"] == STORE["variables"]
    policy = json.loads(graph.one("RolePolicy", "inference").inputs["policy"])["Statement"]
    (attach,) = [statement for statement in policy if statement["Sid"] == "AttachToVpc"]
    assert set(attach["Action"]) == {
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }


def test_each_caller_outlives_whom_it_calls() -> None:
    assert INFERENCE_TIMEOUT_SECONDS < TRANSFORMATION_TIMEOUT_SECONDS < FIREHOSE_WAITS_SECONDS


def test_functions_are_published_on_arm_and_traced_with_logs_that_expire() -> None:
    graph = recommender()
    for function in graph.of("lambda/function:Function"):
        assert function.inputs["architectures"] == ["arm64"]
        assert function.inputs["publish"] is True
        assert function.inputs["tracingConfig"] == {"mode": "Active"}
        group = function.inputs["loggingConfig"]["logGroup"]
        assert group in {f"{node.name}-name" for node in graph.of("LogGroup")}
    assert {node.inputs["retentionInDays"] for node in graph.of("LogGroup")} == {14}


def test_the_stream_is_encrypted_and_provisioned_or_on_demand() -> None:
    provisioned = recommender(shards=2).one("kinesis/stream:Stream").inputs
    assert (provisioned["encryptionType"], provisioned["shardCount"]) == ("KMS", 2)
    on_demand = recommender(shards=0).one("kinesis/stream:Stream").inputs
    assert on_demand["streamModeDetails"] == {"streamMode": "ON_DEMAND"}
    assert "shardCount" not in on_demand


def test_firehose_may_only_be_assumed_for_this_account() -> None:
    trust = json.loads(recommender().one("iam/role:Role", "delivery").inputs["assumeRolePolicy"])["Statement"][0]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_the_source_is_backed_up_and_compressed_when_asked_for() -> None:
    assert "s3BackupConfiguration" not in delivery(recommender())
    asked = delivery(recommender(backup_source=True, compress=True))
    assert (asked["s3BackupMode"], asked["compressionFormat"]) == ("Enabled", "GZIP")


def statements(graph: Graph, role: str) -> dict[str, dict[str, Any]]:
    policy = json.loads(graph.one("RolePolicy", role).inputs["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_kinesis_calls_the_transformation_itself_where_that_is_asked_for() -> None:
    graph = recommender(delivery="event_source")
    mapping = graph.one("EventSourceMapping").inputs
    assert mapping["functionName"].endswith("stream-event-transformation-live")
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["bisectBatchOnFunctionError"] is True
    assert mapping["maximumRetryAttempts"] > 0
    assert mapping["maximumRecordAgeInSeconds"] < 24 * 3600, "a record must not leave the stream before it is kept"
    bucket = graph.one("s3/bucket:Bucket", "recommendations")
    assert (
        mapping["destinationConfig"]["onFailure"]["destinationArn"]
        == f"arn:aws:s3:eu-west-1:111122223333:{bucket.name}"
    )
    stream = graph.one("FirehoseDeliveryStream").inputs
    assert "kinesisSourceConfiguration" not in stream
    assert "processingConfiguration" not in stream["extendedS3Configuration"]
    assert stream["serverSideEncryption"]["enabled"] is True
    function = graph.one("lambda/function:Function", "transformation").inputs
    variables = function["environment"]["variables"]
    assert variables["DELIVERY_STREAM_NAME"] == "stream-delivery-name"
    assert variables["FAILURE_BUCKET"].startswith(bucket.name)
    told = {"MODEL_INFERENCE_FUNCTION", "RECOMMENDATION_LIMIT"}
    assert set(variables) == told | set(environment.OPTIONAL["stream_transformation"])


def test_each_way_in_has_only_the_permissions_that_it_uses() -> None:
    by_firehose, by_event_source = recommender(), recommender(delivery="event_source")
    assert not by_firehose.of("EventSourceMapping")
    assert not {"ReadEvents", "PutLines"} & statements(by_firehose, "transformation").keys()
    assert statements(by_event_source, "transformation")["PutLines"]["Action"] == ["firehose:PutRecordBatch"]
    assert not {"ReadEvents", "Transform"} & statements(by_event_source, "stream-delivery").keys()


@pytest.mark.parametrize("settings", [{}, {"backup_source": True}, {"delivery": "event_source"}])
def test_nobody_may_write_into_the_whole_bucket(settings: dict[str, Any]) -> None:
    """Firehose writes recommendations and failures; the function and Lambda write failures only."""
    graph = recommender(**settings)
    allowed = {
        (role, resource.split("/", 1)[-1])
        for role in ("stream-delivery", "transformation")
        for statement in statements(graph, role).values()
        if "s3:PutObject" in statement["Action"]
        for resource in statement["Resource"]
    }
    expected = {("stream-delivery", "recommendations/*"), ("stream-delivery", "processing-failed/*")}
    if settings.get("backup_source"):
        expected |= {("stream-delivery", "source/*"), ("stream-delivery", "source-errors/*")}
    if settings.get("delivery"):
        expected |= {("transformation", "processing-failed/*"), ("transformation", "aws/lambda/*")}
    assert allowed == expected
