"""The stream transformation as a Kinesis event source: every line is put once, and what can never succeed is kept."""

import base64
import json
from typing import Any

import pytest

from functions.stream_transformation import event_source
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient
from tests.functions.lambdas import GOOD, LIMIT, Context, LambdaService, Recommender, deliver


def test_an_event_that_inference_refuses_fails_alone() -> None:
    class Choosy(Recommender):
        def run(self, event: Any) -> Any:
            answer = super().run(event)
            answer["responses"][1] = {"id": answer["responses"][1]["id"], "error": "not this one"}
            return answer

    assert [result for result, _ in deliver(Choosy(), GOOD, GOOD, GOOD)] == ["Ok", "ProcessingFailed", "Ok"]
    firehose, bucket = Firehose(), Bucket()
    from_kinesis(firehose, GOOD, GOOD, bucket=bucket, service=Choosy())
    assert [document["errorCode"] for document in bucket.kept()] == ["refused_by_inference"]
    assert len(firehose.lines) == 1


class Firehose:
    """boto3's Firehose client: takes lines, refusing the first ones of each call while `refusals` last."""

    def __init__(self, refusals: int = 0) -> None:
        self.lines: list[bytes] = []
        self.refusals = refusals

    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:
        assert len(Records) <= 500
        assert sum(len(record["Data"]) for record in Records) <= 4 * 1024 * 1024
        responses = []
        for record in Records:
            if self.refusals:
                self.refusals -= 1
                responses.append({"ErrorCode": "ServiceUnavailableException"})
            else:
                self.lines.append(record["Data"])
                responses.append({"RecordId": "r"})
        return {"RequestResponses": responses}


class Bucket:
    """boto3's S3 client: keeps objects, or refuses them."""

    def __init__(self, refuses: bool = False) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses = refuses

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        if self.refuses:
            raise TimeoutError("S3")
        self.objects[Key] = Body

    def kept(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.objects.values() for line in body.split(b"\n") if line]


def from_kinesis(
    firehose: Firehose,
    *data: bytes,
    seconds: float = 60,
    bucket: Bucket | None = None,
    service: LambdaService | None = None,
) -> Any:
    stream._client = InferenceClient("inference", LIMIT, service or Recommender())
    stream._writer = event_source.DeliveryStream("delivery", firehose)
    stream._bucket = event_source.FailureBucket("failures", bucket or Bucket())
    records = [
        {
            "eventID": f"shardId-000000000000:49{n:04}",
            "kinesis": {
                "sequenceNumber": f"49{n:04}",
                "data": base64.b64encode(content).decode(),
                "partitionKey": "p",
                "approximateArrivalTimestamp": 1_700_000_000.5,
            },
        }
        for n, content in enumerate(data)
    ]
    return stream.handler({"Records": records}, Context(seconds))


def test_as_an_event_source_it_puts_every_line_once_also_when_firehose_refuses_some() -> None:
    firehose = Firehose(refusals=7)
    assert from_kinesis(firehose, *[GOOD] * 1100) == {"batchItemFailures": []}
    ids = [json.loads(line)["event_id"] for line in firehose.lines]
    assert sorted(ids) == [f"49{n:04}" for n in range(1100)]


def test_as_an_event_source_it_keeps_what_can_never_succeed_and_holds_up_nobody() -> None:
    firehose, bucket = Firehose(), Bucket()
    too_large = json.dumps({**json.loads(GOOD), "note": "n" * 1_024_000}).encode()
    batch = [b"bad", GOOD, b'{"session_id": 1}', too_large, GOOD]
    for _ in range(2):  # also when Lambda sends the batch again
        assert from_kinesis(firehose, *batch, bucket=bucket) == {"batchItemFailures": []}
    assert [json.loads(line)["event_id"] for line in firehose.lines] == ["490001", "490004"] * 2
    assert [(line["errorCode"], line["sequenceNumber"], line["shardId"]) for line in bucket.kept()] == [
        ("not_json", "490000", "shardId-000000000000"),
        ("wrong_shape", "490002", "shardId-000000000000"),
        ("line_over_1000_kb", "490003", "shardId-000000000000"),
    ]
    assert [base64.b64decode(line["rawData"]) for line in bucket.kept()] == [b"bad", b'{"session_id": 1}', too_large]
    assert {line["arrivalTimestamp"] for line in bucket.kept()} == {1_700_000_000_500}
    (key,) = bucket.objects
    assert key == "processing-failed/2023/11/14/22/shardId-000000000000-490000.json"


def test_as_an_event_source_a_batch_whose_poison_cannot_be_kept_is_raised() -> None:
    firehose = Firehose()
    with pytest.raises(TimeoutError, match="S3"):
        from_kinesis(firehose, GOOD, b"bad", bucket=Bucket(refuses=True))
    assert not firehose.lines


def test_as_an_event_source_a_batch_that_firehose_never_takes_is_raised() -> None:
    with pytest.raises(event_source.DeliveryError, match="ServiceUnavailable"):
        from_kinesis(Firehose(refusals=10_000), GOOD, seconds=5.5)
