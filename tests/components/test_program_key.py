"""One customer-managed key encrypts all that the program stores."""

import json
from typing import Any

from tests.components.program import TRIAL, parameters, program_graph

KEY = "arn:aws:kms:eu-west-1:111122223333:key-key"


ENCRYPTED_BY = {
    "BucketServerSideEncryptionConfiguration": "rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId",
    "lambda/function:Function": "kmsKeyArn",
    "logGroup:LogGroup": "kmsKeyId",
    "kinesis/stream:Stream": "kmsKeyId",
    "rds/instance:Instance": "kmsKeyId",
    "sns/topic:Topic": "kmsMasterKeyId",
    "sqs/queue:Queue": "kmsMasterKeyId",
    "scheduler/schedule:Schedule": "kmsKeyArn",
    "secretsmanager/secret:Secret": "kmsKeyId",
    "athena/workgroup:Workgroup": "configuration.resultConfiguration.encryptionConfiguration.kmsKeyArn",
}
"""Type that stores something → the input that encrypts it. A bucket's encryption covers its objects."""


def value_at(inputs: Any, path: str) -> Any:
    for part in path.split("."):
        inputs = inputs[int(part)] if part.isdigit() else (inputs or {}).get(part)
    return inputs


def test_one_key_means_one_key_for_all_that_is_stored() -> None:
    graph = program_graph("prod")
    for type_, path in ENCRYPTED_BY.items():
        nodes = [node for node in graph.nodes if node.type.endswith(type_)]
        assert nodes, type_
        for node in nodes:
            assert value_at(node.inputs, path) == KEY, f"{node.urn}: {path}"
    assert graph.one("Instance", "vectors").inputs["performanceInsightsKmsKeyId"] == KEY
    assert graph.one("BucketObjectv2", "source-login").inputs["kmsKeyId"] == KEY
    assert program_graph("prod", overrides=TRIAL).one("Instance", "source").inputs["kmsKeyId"] == KEY


def test_whatever_of_the_provider_takes_a_key_is_known_to_that_test() -> None:
    known = (*ENCRYPTED_BY, "s3/bucketObjectv2:BucketObjectv2")
    takes_key = {
        node.type
        for node in program_graph("prod", overrides=TRIAL).nodes
        if node.custom
        and any(name in {"kms_key_id", "kms_key_arn", "kms_master_key_id"} for name in parameters(node.type))
    }
    assert {type_ for type_ in takes_key if not type_.endswith(known)} == set()


def test_the_service_that_writes_logs_and_the_one_that_sends_alarms_may_use_the_key() -> None:
    policy = json.loads(program_graph("prod").one("kms/key:Key").inputs["policy"])["Statement"]
    conditions = {str(entry["Principal"].get("Service")): entry.get("Condition") for entry in policy}
    assert conditions["events.amazonaws.com"] is None, "EventBridge names no source"
    assert conditions["cloudwatch.amazonaws.com"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert "ArnLike" in conditions["logs.eu-west-1.amazonaws.com"]
