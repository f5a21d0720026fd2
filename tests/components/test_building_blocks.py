"""Roles, buckets and functions, of which the components are made."""

import json
from typing import Any

import pytest

from components import PrivateBucket, PythonFunction, ScopedRole
from local.graph.recorder import build
from tests.components.shared import COMMON


def test_a_wildcard_action_is_refused() -> None:
    statements: Any = [{"sid": "All", "actions": ["s3:*"], "resources": ["arn:aws:s3:::b"]}]
    with pytest.raises(ValueError, match=r"statement All: expected exact actions, got s3:\*"):
        build(lambda: ScopedRole("role", {"service": "glue.amazonaws.com", "statements": statements}))


def test_a_role_trusts_one_service() -> None:
    graph = build(lambda: ScopedRole("role", {"service": "glue.amazonaws.com", "statements": []}))
    trust = json.loads(graph.one("iam/role:Role").inputs["assumeRolePolicy"])["Statement"]
    assert [statement["Principal"] for statement in trust] == [{"Service": "glue.amazonaws.com"}]


def test_a_name_that_aws_would_find_too_long_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match="PrivateBucket: name: expected at most 55 characters, got 67"):
        build(lambda: PrivateBucket("b" * 60, {}))
    with pytest.raises(ValueError, match="ScopedRole: name: expected at most 56 characters, got 65"):
        build(lambda: ScopedRole("r" * 60, {"service": "glue.amazonaws.com", "statements": []}))


def test_a_bucket_keeps_replaced_versions_for_a_while_and_its_content_unless_asked() -> None:
    graph = build(lambda: PrivateBucket("store", {}))
    assert graph.one("Bucket").inputs["forceDestroy"] is False
    (rule,) = graph.one("BucketLifecycleConfiguration").inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 30}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timeout_seconds": 901}, "timeout_seconds: expected 1 to 900, got 901"),
        ({"memory_mb": 64}, "memory_mb: expected 128 to 10240, got 64"),
        ({"subnet_ids": ["subnet-1"]}, "expected subnet_ids and security_group_ids together"),
        ({"common": {"settings": {"log_retention_days": 15}}}, "log_retention_days: expected one of"),
    ],
)
def test_a_function_that_lambda_would_reject_is_refused_at_once(wrong: Any, message: str) -> None:
    args: Any = {
        "common": COMMON,
        "label": "inference",
        "source": "model_inference",
        "description": "",
        "code_bucket": "code",
        "timeout_seconds": 60,
        "memory_mb": 512,
        **wrong,
    }
    with pytest.raises(ValueError, match=message):
        build(lambda: PythonFunction("function", args))
