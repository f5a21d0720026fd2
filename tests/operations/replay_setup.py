"""Documents of failed events, and the bucket and stream that they are replayed between."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from contracts.events import original
from operations.replay import replay
from tests.emulator.aws import Aws


def event(session: str) -> bytes:
    return json.dumps({"session_id": session, "browse_history": []}).encode()


EVENT = event("s1")


def document(data: bytes, arrival_ms: int = 1_700_000_000_000, code: str = "Lambda.FunctionError") -> bytes:
    """A line of a processing-failed file, in Firehose's documented format."""
    fields = {
        "attemptsMade": 4,
        "arrivalTimestamp": arrival_ms,
        "errorCode": code,
        "errorMessage": "The Lambda function was successfully invoked but it returned an error result.",
        "attemptEndingTimestamp": arrival_ms + 60_000,
        "rawData": base64.b64encode(data).decode(),
        "lambdaArn": "arn:aws:lambda:us-east-1:111122223333:function:transform:live",
    }
    return json.dumps(fields).encode() + b"\n"


def invocation_record(data: bytes, sequence_number: str) -> bytes:
    """A file of an event source mapping's failure bucket."""
    record = {"kinesis": {"data": base64.b64encode(data).decode(), "sequenceNumber": sequence_number}}
    condition = {"requestContext": {"condition": "RetryAttemptsExhausted"}}
    return json.dumps(condition | {"payload": {"Records": [record]}}).encode()


class Setup:
    """A bucket with failed events, and a stream of two shards."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.stream_arn = aws.stream(shards=2)
        self.stream = self.stream_arn.rsplit("/", 1)[-1]
        self.bucket = aws.bucket()

    def keep(self, key: str, body: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def on_stream(self) -> list[dict[str, Any]]:
        kinesis = self.aws.client("kinesis")
        records = []
        for shard in kinesis.list_shards(StreamARN=self.stream_arn)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamARN=self.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            behind = True
            while behind:
                answer = kinesis.get_records(ShardIterator=iterator)
                records += answer["Records"]
                iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"] > 0 and answer["Records"]
        return records

    def replay(self, *codes: str, again: bool = False) -> Any:
        s3, kinesis = self.aws.client("s3"), self.aws.client("kinesis")
        return replay(s3, kinesis, self.bucket, "processing-failed/", self.stream, codes, again)


@pytest.fixture(name="setup")
def setup_fixture(aws: Aws) -> Setup:
    return Setup(aws)


def sent(record: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """The bytes and the id of a replayed event that is on the stream."""
    return original(record["Data"])
