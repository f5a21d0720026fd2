"""PostgreSQL, the bucket of artifacts and the loader that a manifest starts."""

import json
from typing import Any

from components import CommonArgs, VectorStore
from components.vector_store import IAM_USER
from local.graph.recorder import Graph, build
from tests.components.shared import CODE, COMMON, KEY, PLACEMENT


def vector_store(common: CommonArgs = COMMON, **settings: Any) -> Graph:
    args: Any = {"common": common, "settings": settings, "placement": PLACEMENT, "code": CODE}
    return build(lambda: VectorStore("vectors", args))


def database(graph: Graph) -> dict[str, Any]:
    return dict(graph.one("Instance").inputs)


def test_the_database_is_safe_without_flags() -> None:
    inputs = database(vector_store())
    assert inputs["publiclyAccessible"] is False
    assert inputs["storageEncrypted"] is True
    assert inputs["deletionProtection"] is True
    assert inputs["copyTagsToSnapshot"] is True
    assert inputs["skipFinalSnapshot"] is False
    assert inputs["finalSnapshotIdentifier"].startswith("vectors-final-")
    assert inputs["backupRetentionPeriod"] == 7


def test_only_the_major_version_is_pinned() -> None:
    assert database(vector_store())["engineVersion"] == "18"


def test_tls_is_forced_and_index_builds_get_memory_by_instance_size() -> None:
    parameters = {entry["name"]: entry["value"] for entry in vector_store().one("ParameterGroup").inputs["parameters"]}
    assert parameters["rds.force_ssl"] == "1"
    assert "DBInstanceClassMemory" in parameters["maintenance_work_mem"]


def test_the_loader_starts_when_a_manifest_arrives_and_what_it_cannot_load_is_kept() -> None:
    graph = vector_store()
    pattern = json.loads(graph.one("EventRule").inputs["eventPattern"])
    assert pattern["detail"]["object"]["key"] == [{"suffix": "/manifest.json"}]
    assert graph.one("BucketNotification").inputs["eventbridge"] is True
    target = graph.one("EventTarget").inputs
    assert (
        target["deadLetterConfig"]["arn"]
        == graph.one("FunctionEventInvokeConfig").inputs["destinationConfig"]["onFailure"]["destination"]
    )
    permission = graph.one("Permission").inputs
    assert permission["principal"] == "events.amazonaws.com"
    assert "sourceArn" in permission


def test_under_iam_authentication_no_function_knows_a_password() -> None:
    graph = vector_store(iam_authentication=True)
    variables = graph.one("lambda/function:Function").inputs["environment"]["variables"]
    assert "VECTOR_DB_PASSWORD" not in variables
    assert (variables["VECTOR_DB_AUTH"], variables["VECTOR_DB_USER"]) == ("iam", IAM_USER)
    statements = json.loads(graph.one("RolePolicy").inputs["policy"])["Statement"]
    connect = next(statement for statement in statements if statement["Sid"] == "OpenDatabase")
    assert connect["Resource"][0].endswith(f"/{IAM_USER}")


def test_a_customer_managed_key_is_used_for_all_that_is_stored() -> None:
    graph = vector_store({**COMMON, "kms_key_arn": KEY})
    assert database(graph)["kmsKeyId"].endswith("key/1")
    assert graph.one("Secret").inputs["kmsKeyId"].endswith("key/1")
    assert graph.one("lambda/function:Function").inputs["kmsKeyArn"].endswith("key/1")
    rule = graph.one("BucketServerSideEncryptionConfiguration").inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"].endswith("key/1")
