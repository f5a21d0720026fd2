"""The whole program, under the settings of each stack file: what holds for every resource, and what flows where."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from components.vector_store import IAM_USER
from emulator.program import EXISTING_SOURCE, read_complete_stack
from functions.shared import environment
from local.graph import recorder
from local.graph.recorder import Graph, build, without_secrets
from tests.components.program import STACKS, TRIAL, parameters, program_graph, run_main

STACK_OUTPUTS = {
    "data_lake_bucket",
    "ml_artifacts_bucket",
    "recommendations_bucket",
    "glue_job_name",
    "glue_database_name",
    "event_stream_name",
    "delivery_stream_name",
    "vector_db_host",
    "vector_db_port",
    "vector_db_name",
    "vector_db_username",
    "vector_db_password",
    "api_url",
}


@pytest.fixture(scope="module", params=STACKS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return program_graph(request.param)


def test_the_stack_gives_out_what_the_design_names(graph: Graph) -> None:
    assert set(graph.outputs) == STACK_OUTPUTS


def test_the_database_password_is_the_one_secret_output(graph: Graph) -> None:
    assert [name for name, (_, secret, _) in graph.outputs.items() if secret] == ["vector_db_password"]


def test_no_two_resources_share_a_urn(graph: Graph) -> None:
    assert [urn for urn, times in Counter(node.urn for node in graph.nodes).items() if times > 1] == []


def test_every_resource_belongs_to_a_component(graph: Graph) -> None:
    assert [node.urn for node in graph.nodes if node.custom and "pulumi:pulumi:Stack::" in node.parent] == []


def test_no_secret_stands_in_clear_in_any_input(graph: Graph) -> None:
    passwords = {node.name: f"{node.name}-result" for node in graph.of("RandomPassword")}
    passwords["source"] = EXISTING_SOURCE["source.password"]
    assert passwords
    for node in graph.nodes:
        seen = json.dumps(without_secrets(dict(node.raw)), default=str)
        for name, password in passwords.items():
            assert password not in seen, f"{node.urn} shows the password of {name}"


def takes_tags(type_: str) -> bool:
    """True if the provider's resource of this type (`aws:s3/bucket:Bucket`) has a `tags` input.

    Objects on S3 take ten tags at most (S3 User Guide, "Categorizing your storage using tags"): their bucket has them.
    """
    if type_.endswith(":BucketObjectv2"):
        return False
    return "tags" in parameters(type_)


def test_everything_that_takes_tags_has_the_stacks(graph: Graph) -> None:
    untagged = [
        node.urn
        for node in graph.nodes
        if node.custom and takes_tags(node.type) and "stack" not in (node.inputs.get("tags") or {})
    ]
    assert untagged == []


def test_every_bucket_is_private_encrypted_versioned_and_reached_over_tls_only(graph: Graph) -> None:
    buckets = {f"{node.name}-id" for node in graph.of("Bucket")}
    assert buckets
    for guard in (
        "BucketPublicAccessBlock",
        "BucketServerSideEncryptionConfiguration",
        "BucketVersioning",
        "BucketPolicy",
        "BucketLifecycleConfiguration",
    ):
        assert {node.inputs["bucket"] for node in graph.of(guard)} == buckets, guard
    for policy in graph.of("BucketPolicy"):
        statement = json.loads(policy.inputs["policy"])["Statement"][0]
        assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_every_database_is_private_and_encrypted(graph: Graph) -> None:
    assert graph.of("Instance")
    for node in graph.of("Instance"):
        assert node.inputs["publiclyAccessible"] is False, node.urn
        assert node.inputs["storageEncrypted"] is True, node.urn


def test_what_holds_data_is_protected_where_the_stack_keeps_it() -> None:
    kept = {"s3/bucket:Bucket", "kinesis/stream:Stream", "rds/instance:Instance", "kms/key:Key"}
    for stack, others in {"dev": None, "prod": {"code-bucket", "source-mysql"}}.items():
        graph = program_graph(stack)
        unprotected = {node.name for type_ in kept for node in graph.of(type_) if not node.protect}
        assert unprotected <= others if others else not any(node.protect for node in graph.nodes), stack


def test_no_role_holds_a_wildcard_action_and_a_wildcard_resource_only_where_iam_has_no_other(graph: Graph) -> None:
    for node in graph.of("RolePolicy"):
        for statement in json.loads(node.inputs["policy"])["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action], node.urn
            if "*" in statement["Resource"]:
                assert all(
                    re.search("NetworkInterface|PrivateIpAddresses|ec2:Describe|xray:|PutMetricData", action)
                    for action in statement["Action"]
                ), node.urn


def test_what_the_vector_store_gives_out_becomes_the_environment_of_the_functions(graph: Graph) -> None:
    database = graph.one("Instance", "vectors-postgres")
    for name in ("vectors-loader-function", "stream-inference-function"):
        variables = graph.one("lambda/function:Function", name).inputs["environment"]["variables"]
        assert variables["VECTOR_DB_HOST"] == f"{database.name}-address"
        if database.inputs["iamDatabaseAuthenticationEnabled"]:
            assert (variables["VECTOR_DB_AUTH"], variables["VECTOR_DB_USER"]) == ("iam", IAM_USER)
            assert "VECTOR_DB_PASSWORD" not in variables
        else:
            assert variables["VECTOR_DB_USER"] == database.inputs["username"]
            assert variables["VECTOR_DB_PASSWORD"] == database.inputs["password"]
        assert variables["VECTOR_DB_NAME"] == database.inputs["dbName"]


def test_each_function_is_told_what_it_reads_and_reads_what_it_is_told(graph: Graph) -> None:
    iam = graph.one("Instance", "vectors-postgres").inputs["iamDatabaseAuthenticationEnabled"]
    for function in graph.of("lambda/function:Function"):
        source = function.inputs["handler"].split(".")[1]
        reads = set(environment.READS[source])
        if iam and "VECTOR_DB_PASSWORD" in reads:
            reads = reads - {"VECTOR_DB_PASSWORD"} | {"VECTOR_DB_AUTH"}
        assert set(function.inputs["environment"]["variables"]) == reads, source


def test_no_published_version_keeps_a_snapshot_that_is_paid_for(graph: Graph) -> None:
    # docs/adr/0016: each publish would leave one behind.
    assert [node.urn for node in graph.of("lambda/function:Function") if "snapStart" in node.inputs] == []


def test_the_delivery_stream_calls_an_alias_and_names_no_default(graph: Graph) -> None:
    delivery: dict[str, Any] = dict(graph.one("FirehoseDeliveryStream").inputs)["extendedS3Configuration"]
    parameters = {
        entry["parameterName"]: entry["parameterValue"]
        for entry in delivery["processingConfiguration"]["processors"][0]["parameters"]
    }
    assert parameters.pop("LambdaArn") == graph.one("Alias", "stream-transformation").inputs.get(
        "arn", "arn:aws:lambda:eu-west-1:111122223333:stream-transformation-live"
    )
    assert not set(parameters.items()) & {("BufferSizeInMBs", "1"), ("BufferIntervalInSeconds", "60")}
    assert "!{firehose:error-output-type}" in delivery["errorOutputPrefix"]


def test_a_preview_with_unknown_ids_registers_every_resource() -> None:
    known = program_graph(STACKS[0])
    unknown = program_graph(STACKS[0], preview=True)
    assert sorted(node.urn for node in unknown.nodes) == sorted(node.urn for node in known.nodes)
    assert any(not is_known for _, _, is_known in unknown.outputs.values())


@pytest.mark.parametrize(("partition", "suffix"), [("aws-cn", "amazonaws.com.cn"), ("aws-us-gov", "amazonaws.com")])
@pytest.mark.parametrize("delivery", ["firehose_transform", "event_source"])
def test_nothing_is_of_one_partition_alone(
    monkeypatch: pytest.MonkeyPatch, partition: str, suffix: str, delivery: str
) -> None:
    elsewhere = {"partition": partition, "dnsSuffix": suffix}
    monkeypatch.setitem(recorder.LOOKUPS, "aws:index/getPartition:getPartition", elsewhere)
    endpoint = "cn.com.amazonaws.cn-north-1.sqs"
    others = {**TRIAL, "network.interface_endpoints": [endpoint], "stream.delivery": delivery}
    for node in program_graph("prod", overrides=others).nodes:
        inputs = json.dumps(dict(node.inputs), default=str)
        assert set(re.findall(r"\barn:([\w-]*):", inputs)) <= {partition}, node.urn
        assert set(re.findall(r"[\w.-]*amazonaws[\w.-]*", inputs)) <= {
            # The same in each partition, as is S3's gateway endpoint; the logs' key policy names the suffix.
            *(
                f"{name}.amazonaws.com"
                for name in ("apigateway", "cloudwatch", "events", "firehose", "glue", "lambda", "scheduler")
            ),
            "com.amazonaws.eu-west-1.s3",
            f"logs.eu-west-1.{suffix}",
            endpoint,
        }, node.urn


def test_zones_are_standard_ones() -> None:
    (call,) = [call for call in program_graph("dev").calls if "getAvailabilityZones" in call.token]
    assert call.args["filters"] == [{"name": "zone-type", "values": ["availability-zone"]}]


@pytest.mark.parametrize("stack", ["x" * 60, "feature.branch_42", "A-1"])
def test_a_stack_of_any_name_that_pulumi_takes_has_names_that_aws_takes(stack: str) -> None:
    config = read_complete_stack("prod", {"common.bundle_dependencies": False}).config
    graph = build(run_main, stack=stack, config=config)
    dashboard = graph.one("Dashboard").inputs["dashboardName"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", dashboard)
    assert graph.one("Bucket", "lake").inputs["tags"]["stack"] == stack


def test_two_stacks_of_one_name_in_two_regions_have_dashboards_of_their_own() -> None:
    # Dashboards are the whole account's, and PutDashboard replaces: the name ends in what only this stack has.
    graph = program_graph("dev")
    suffix = graph.one("RandomId", "dashboard")
    assert graph.one("Dashboard").inputs["dashboardName"].endswith(f"-{suffix.name}-hex")


def test_a_storage_change_that_waits_does_not_move_the_alarm() -> None:
    def instance_has_still(storage: int) -> Graph:
        config = read_complete_stack("dev", {"common.bundle_dependencies": False, "vectors.storage_gb": 100}).config
        return build(run_main, stack="dev", config=config, outputs={"vectors-postgres": {"allocatedStorage": storage}})

    alarm = instance_has_still(20).one("MetricAlarm", "database-storage").inputs
    assert alarm["threshold"] == pytest.approx(0.2 * 20 * 1024**3)


def test_force_ssl_is_asked_for_as_rds_reports_it() -> None:
    parameters = program_graph("dev").one("ParameterGroup").inputs["parameters"]
    (force_ssl,) = [entry for entry in parameters if entry["name"] == "rds.force_ssl"]
    assert force_ssl["applyMethod"] == "pending-reboot"


def test_a_settings_tags_add_to_the_stacks_own() -> None:
    graph = program_graph("dev", overrides={"common.tags": {"team": "shop", "stack": "renamed"}})
    tags = graph.one("Bucket", "lake").inputs["tags"]
    assert tags == {"project": "recommender", "stack": "renamed", "team": "shop"}
