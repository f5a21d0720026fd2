"""Makes small real AWS resources on MiniStack for a test; each under a name of its own."""

import io
import json
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

from emulator.ministack import MiniStack

Statement = dict[str, Any]


def allow(action: str | list[str], resource: str | list[str], **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str, condition: dict[str, Any] | None = None) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return policy(statement | ({"Condition": condition} if condition else {}))


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        time.sleep(0.02)


class FakeClock:
    """Time that passes only by `sleep` and by `advance`; what was slept is noted."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def interrupt(self) -> None: ...

    def resume(self) -> None: ...


class Aws:
    def __init__(self, ministack: MiniStack) -> None:
        self.ministack = ministack

    def client(self, service: str) -> Any:
        return self.ministack.client(service)

    def role(self, trust_policy: str, *statements: Statement) -> str:
        name = unique("role")
        arn: str = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy)["Role"]["Arn"]
        self.allow(arn, *statements)
        return arn

    def allow(self, role_arn: str, *statements: Statement) -> None:
        """Replaces the role's permissions."""
        name, iam = role_arn.rsplit("/", 1)[-1], self.client("iam")
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=policy(*statements))

    def function(self, code: str, *statements: Statement, timeout: int = 10, **more: Any) -> str:
        """A Python function whose `handler(event, context)` is in the code; the ARN of its alias `live`."""
        name = unique("function")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", textwrap.dedent(code))
        functions = self.client("lambda")
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="index.handler",
            Role=self.role(trust("lambda.amazonaws.com"), *statements),
            Code={"ZipFile": archive.getvalue()},
            Timeout=timeout,
            Publish=True,
            **more,
        )
        alias: str = functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]
        return alias

    def stream(self, shards: int = 1) -> str:
        name = unique("events")
        kinesis = self.client("kinesis")
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        arn: str = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
        wait_until(lambda: kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamStatus"] == "ACTIVE")
        return arn

    def bucket(self, eventbridge: bool = False) -> str:
        name = unique("bucket")
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        if eventbridge:
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        s3 = self.client("s3")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def queue(self, policy_of: Callable[[str], str] | None = None) -> str:
        """A queue's ARN; `policy_of` makes its policy of that ARN."""
        sqs, name = self.client("sqs"), unique("queue")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        if policy_of:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy_of(arn)})
        return arn

    def messages(self, queue_arn: str) -> list[dict[str, Any]]:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue_arn.rsplit(":", 1)[-1])["QueueUrl"]
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return list(answer.get("Messages", []))
