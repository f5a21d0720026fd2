"""`make audit`: what scanners are given, what is accepted with a reason, and that not looking is never called clean."""

import json
from pathlib import Path
from typing import Any

import pytest

from audit import scanners
from audit.findings import Finding, accepted, open_findings, unused
from audit.terraform import document, type_name
from local.graph.stack import record


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = document(record("dev"))["resource"]
    return found


@pytest.mark.parametrize(
    ("pulumi", "terraform"),
    [
        ("aws:s3/bucketPolicy:BucketPolicy", "aws_s3_bucket_policy"),
        ("aws:ec2/vpc:Vpc", "aws_vpc"),
        ("aws:rds/instance:Instance", "aws_db_instance"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws_vpc_security_group_ingress_rule"),
        ("random:index/randomPassword:RandomPassword", "random_password"),
    ],
)
def test_a_resource_type_has_terraforms_name(pulumi: str, terraform: str) -> None:
    assert type_name(pulumi) == terraform


def test_arguments_are_terraforms_and_one_resource_refers_to_another(resources: dict[str, Any]) -> None:
    encryption = resources["aws_s3_bucket_server_side_encryption_configuration"]["code-encryption"]
    assert encryption["bucket"] == "${aws_s3_bucket.code-bucket.id}"
    assert encryption["rule"][0]["apply_server_side_encryption_by_default"]["sse_algorithm"] == "AES256"
    function = resources["aws_lambda_function"]["stream-inference-function"]
    assert function["environment"]["variables"]["VECTOR_DB_NAME"] == "recommender"
    assert function["role"] == "${aws_iam_role.stream-inference-role.arn}"
    delivery = resources["aws_kinesis_firehose_delivery_stream"]["stream-delivery"]["extended_s3_configuration"]
    assert delivery["processing_configuration"]["processors"][0]["parameters"][0]["parameter_name"] == "LambdaArn"


def test_every_accepted_finding_has_a_reason_and_covers_only_what_it_names(tmp_path: Path) -> None:
    assert accepted()
    path = tmp_path / "accepted.toml"
    path.write_text('[[accepted]]\ncheck = "A1"\nwhere = ["dev/*", "prod/x"]\nreason = "because"\n')
    mine, other = Finding("A1", "dev/b", "t"), Finding("A2", "dev/b", "t")
    assert open_findings([mine, other], accepted(path)) == [other]
    assert unused([mine, other], accepted(path)) == ["A1 prod/x"]
    path.write_text('[[accepted]]\ncheck = "A1"\nwhere = ["dev/*"]\nreason = " "\n')
    with pytest.raises(ValueError, match="A1: expected a reason, found none"):
        accepted(path)


def tool(folder: Path, name: str, prints: object, status: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(prints)}\nEND\nexit {status}\n")
    path.chmod(0o755)


def test_a_package_that_could_not_be_looked_up_is_not_called_clean(tmp_path: Path) -> None:
    clean = {"name": "numpy", "version": "1", "vulns": []}
    tool(tmp_path, "pip-audit", {"dependencies": [clean, {"name": "msgspec", "skip_reason": "not found on PyPI"}]})
    with pytest.raises(scanners.NotCheckedError, match="no answer for 1 packages"):
        scanners.pip_audit(tmp_path, ["functions/constraints.txt"])
    broken = {"name": "numpy", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    tool(tmp_path, "pip-audit", {"dependencies": [broken]}, status=1)
    assert scanners.pip_audit(tmp_path, ["functions/constraints.txt"]) == [
        Finding("PYSEC-1", "functions/constraints.txt:numpy", "fixed in 2")
    ]


def test_a_scanner_that_read_nothing_or_broke_is_not_called_clean(tmp_path: Path) -> None:
    tool(tmp_path, "checkov", {"passed": 0, "failed": 0})
    with pytest.raises(scanners.NotCheckedError, match="checkov read no resources of stack dev"):
        scanners.checkov(tmp_path, "dev")
    (tmp_path / "bandit").write_text("#!/bin/sh\necho 'no such option' >&2\nexit 2\n")
    (tmp_path / "bandit").chmod(0o755)
    with pytest.raises(scanners.NotCheckedError, match="bandit ended with status 2: no such option"):
        scanners.bandit(tmp_path)
