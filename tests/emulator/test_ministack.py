"""MiniStack as the local run starts it: private, IAM enforced, nobody root but the run."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from emulator.errors import LocalRunError
from emulator.ministack import Credentials, MiniStack
from tests.emulator.aws import Aws, allow, trust, wait_until

WHO_AM_I = """
    import os, boto3

    def handler(event, context):
        arn = boto3.client("sts").get_caller_identity()["Arn"]
        return {"who": arn, "env": dict(os.environ), "pid": os.getpid()}
"""
DELIVERY = "arn:aws:firehose:us-east-1:111122223333:deliverystream/events"


@pytest.mark.parametrize("key", ["test", "111122223333", "000000000000", "AKIAIOSFODNN7EXAMPLE"])
def test_a_well_known_key_is_not_root(ministack: MiniStack, key: str) -> None:
    stranger = Credentials(key, "test")
    for service, call in (("s3", "list_buckets"), ("iam", "list_roles"), ("kinesis", "list_streams")):
        with pytest.raises(ClientError, match=r"Invalid|Unrecognized"):
            getattr(ministack.client(service, stranger), call)()


def test_an_unsigned_request_reads_nothing(ministack: MiniStack, aws: Aws) -> None:
    bucket = aws.bucket()
    anonymous = boto3.client(
        "s3",
        endpoint_url=ministack.endpoint_url,
        verify=str(ministack.ca_bundle),
        region_name=ministack.region,
        config=Config(signature_version=UNSIGNED),
    )
    with pytest.raises(ClientError):
        anonymous.list_objects_v2(Bucket=bucket)


def test_a_role_does_what_its_policy_allows_and_nothing_else(ministack: MiniStack, aws: Aws) -> None:
    mine, other = aws.bucket(), aws.bucket()
    role = aws.role(trust("firehose.amazonaws.com"), allow("s3:PutObject", f"arn:aws:s3:::{mine}/*"))
    s3 = ministack.role(role, "firehose.amazonaws.com", "test").client("s3")
    s3.put_object(Bucket=mine, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=other, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=mine, Key="a")


def test_a_role_that_does_not_trust_the_service_is_refused_by_name(ministack: MiniStack, aws: Aws) -> None:
    role = aws.role(trust("lambda.amazonaws.com"))
    with pytest.raises(LocalRunError) as refused:
        ministack.assume_role(role, "firehose.amazonaws.com", "test")
    for part in (role, "firehose.amazonaws.com", "lambda.amazonaws.com"):
        assert part in str(refused.value), "the message names the role, the expected principal and the one found"


@pytest.mark.parametrize(
    ("condition", "source_arn", "trusted"),
    [
        ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, DELIVERY, True),
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, DELIVERY, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:firehose:*:*:deliverystream/events"}}, DELIVERY, True),
        ({"ArnEquals": {"aws:SourceArn": DELIVERY}}, DELIVERY + "-2", False),
        ({"ArnEquals": {"aws:SourceArn": DELIVERY}}, None, False),
    ],
)
def test_a_trust_policys_source_conditions_are_evaluated(
    ministack: MiniStack, aws: Aws, condition: dict[str, dict[str, str]], source_arn: str | None, trusted: bool
) -> None:
    role = aws.role(trust("firehose.amazonaws.com", condition))
    if trusted:
        assert ministack.assume_role(role, "firehose.amazonaws.com", "test", source_arn).session_token
    else:
        with pytest.raises(LocalRunError, match="cannot assume"):
            ministack.assume_role(role, "firehose.amazonaws.com", "test", source_arn)


def test_a_roles_credentials_are_renewed_before_they_expire(
    ministack: MiniStack, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = aws.bucket()
    role_arn = aws.role(trust("firehose.amazonaws.com"), allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    role = ministack.role(role_arn, "firehose.amazonaws.com", "test")
    first = role.credentials()
    assert role.credentials() == first, "an hour is far away"
    monkeypatch.setattr("emulator.ministack._REFRESH_BEFORE", timedelta(hours=2))
    assert role.credentials().access_key_id != first.access_key_id
    role.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")


def test_root_itself_cannot_assume_a_role_that_trusts_a_service(ministack: MiniStack, aws: Aws) -> None:
    role = aws.role(trust("firehose.amazonaws.com"))
    with pytest.raises(ClientError, match="AccessDenied"):
        ministack.client("sts").assume_role(RoleArn=role, RoleSessionName="root")


def test_what_a_function_logs_can_be_shown(aws: Aws) -> None:
    function = aws.function("def handler(event, context):\n    print('about to fail')\n    raise ValueError('bad')")
    assert aws.client("lambda").invoke(FunctionName=function)["FunctionError"] == "Unhandled"
    assert "about to fail" in aws.ministack.function_logs(function)


def test_a_second_server_is_private_and_ends_with_its_functions(
    ministack: MiniStack, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket = aws.bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-person-at-the-terminal")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    other = MiniStack(tmp_path / "data", tmp_path / "log")
    other.start()
    try:
        assert bucket not in {item["Name"] for item in other.client("s3").list_buckets()["Buckets"]}
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            other.client("s3", ministack.root).list_buckets()
        function = Aws(other).function(WHO_AM_I)
        answer = json.loads(other.client("lambda").invoke(FunctionName=function)["Payload"].read())
        assert ":assumed-role/role-" in answer["who"]
        assert not {other.root.secret_access_key, "of-the-person-at-the-terminal"} & set(answer["env"].values())
        assert "PYTHONPATH" not in answer["env"]
        assert _is_alive(answer["pid"])
    finally:
        other.stop()
    wait_until(lambda: not _is_alive(answer["pid"]), 5)


def _status(ministack: MiniStack, method: str, path: str) -> int:
    trust = ssl.create_default_context(cafile=str(ministack.ca_bundle))
    request = urllib.request.Request(f"{ministack.endpoint_url}{path}", method=method, data=b"{}")
    try:
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/reset?init=1"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
        ("GET", "/_ministack/ses/messages"),
        ("POST", "/_localstack/state/reset"),
        ("GET", "/_localstack/info"),
    ],
)
def test_nobody_controls_the_emulator_without_a_signature(
    ministack: MiniStack, aws: Aws, method: str, path: str
) -> None:
    bucket = aws.bucket()
    assert _status(ministack, method, path) == 403
    assert bucket in {item["Name"] for item in ministack.client("s3").list_buckets()["Buckets"]}


def test_it_listens_on_its_own_port_alone(ministack: MiniStack) -> None:
    listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=True).stdout
    mine = {line.split()[3] for line in listening.splitlines() if f"pid={ministack._process.pid}," in line}
    assert mine == {ministack.endpoint_url.removeprefix("https://")}


@pytest.mark.parametrize(
    ("size", "key", "taken"),
    [(1_048_570, "123456", True), (1_048_570, "1234567", False), (1, "", False), (1, "k" * 257, False)],
)
def test_a_record_is_taken_as_kinesis_takes_it(aws: Aws, size: int, key: str, taken: bool) -> None:
    kinesis, record = aws.client("kinesis"), {"Data": b"x" * size, "PartitionKey": key}
    stream = aws.stream()
    if taken:
        assert kinesis.put_records(StreamARN=stream, Records=[record])["FailedRecordCount"] == 0
        kinesis.put_record(StreamARN=stream, **record)
        return
    for put in (kinesis.put_record, lambda StreamARN, **one: kinesis.put_records(StreamARN=StreamARN, Records=[one])):
        with pytest.raises((ClientError, ParamValidationError), match=r"Validation|PartitionKey"):
            put(StreamARN=stream, **record)


def _is_alive(pid: int) -> bool:
    """True if the process runs; one that has ended and was not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
