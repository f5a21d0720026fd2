"""The Kinesis event source mapping on real MiniStack, with a function that writes by direct put."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.delivery import DeliveryStream
from emulator.errors import LocalRunError
from emulator.event_source import EventSource
from emulator.event_source.kinesis_event import failed_from
from tests.emulator.aws import Aws, FakeClock, allow, trust, unique, wait_until
from tests.emulator.delivery_setup import BUCKET, KINESIS

# Puts each record's text onto the delivery stream; stops at one that is called poison and reports it.
FUNCTION = """
    import base64, os, boto3

    firehose = boto3.client("firehose")

    def handler(event, context):
        good, failed = [], []
        for record in event["Records"]:
            text = base64.b64decode(record["kinesis"]["data"]).decode()
            if text == "raise":
                raise ValueError("as asked for")
            if text == "poison":
                failed.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
                break
            good.append({"Data": (text + "\\n").encode()})
        if good:
            name = os.environ["DELIVERY_STREAM"]
            assert firehose.put_record_batch(DeliveryStreamName=name, Records=good)["FailedPutCount"] == 0
        return {"batchItemFailures": failed}
"""


class Setup:
    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.stream_arn = aws.stream(shards=2)
        self.bucket, self.failures = aws.bucket(), aws.bucket()
        self.find_failures = allow("s3:ListBucket", f"arn:aws:s3:::{self.failures}")
        self.delivery_name = unique("delivery")
        region, account = aws.ministack.region, aws.ministack.account_id
        self.delivery_arn = f"arn:aws:firehose:{region}:{account}:deliverystream/{self.delivery_name}"
        self.function = aws.function(
            FUNCTION,
            allow(KINESIS, self.stream_arn),
            allow("firehose:PutRecordBatch", self.delivery_arn),
            allow("s3:PutObject", f"arn:aws:s3:::{self.failures}/*"),
            self.find_failures,
            Environment={"Variables": {"DELIVERY_STREAM": self.delivery_name}},
        )
        self.role = aws.client("lambda").get_function_configuration(FunctionName=self.function)["Role"]
        self.delivery = DeliveryStream(aws.ministack, self._delivery_inputs())
        self.delivery.start()
        self.sources: list[EventSource] = []

    def _delivery_inputs(self) -> dict[str, Any]:
        bucket = f"arn:aws:s3:::{self.bucket}"
        permissions = allow("s3:PutObject", f"{bucket}/*"), allow(BUCKET, bucket)
        role = self.aws.role(trust("firehose.amazonaws.com"), *permissions)
        s3 = {"bucketArn": bucket, "roleArn": role, "bufferingInterval": 60}
        return {"name": self.delivery_name, "destination": "extended_s3", "extendedS3Configuration": s3}

    def run(self, clock: FakeClock | None = None, **inputs: Any) -> EventSource:
        """Starts an event source, and waits until it has dealt with every record."""
        source = self.source(clock, **inputs)
        source.start()
        source.flush()
        return source

    def source(self, clock: FakeClock | None = None, **inputs: Any) -> EventSource:
        source = EventSource(
            self.aws.ministack,
            {
                "eventSourceArn": self.stream_arn,
                "functionName": self.function,
                "startingPosition": "TRIM_HORIZON",
                "functionResponseTypes": ["ReportBatchItemFailures"],
                "destinationConfig": {"onFailure": {"destinationArn": f"arn:aws:s3:::{self.failures}"}},
                **inputs,
            },
            clock,
        )
        self.sources.append(source)
        return source

    def put(self, *texts: str, shard: int = 0) -> None:
        key = str(2**128 - 1 if shard else 0)
        records = [{"Data": text.encode(), "PartitionKey": text, "ExplicitHashKey": key} for text in texts]
        self.aws.client("kinesis").put_records(StreamARN=self.stream_arn, Records=records)

    def delivered(self) -> list[str]:
        self.delivery.flush()
        bodies = self.aws.objects(self.bucket).values()
        return sorted(line for body in bodies for line in body.decode().splitlines())

    def discarded(self) -> list[str]:
        """Returns the texts of the given-up records in the failure destination."""
        documents = [json.loads(body) for body in self.aws.objects(self.failures).values()]
        records = [record for document in documents for record in document["payload"]["Records"]]
        return sorted(base64.b64decode(record["kinesis"]["data"]).decode() for record in records)


@pytest.fixture
def setup(aws: Aws) -> Iterator[Setup]:
    made = Setup(aws)
    yield made
    for source in made.sources:
        source.stop(drain=False)
    made.delivery.stop(drain=False)


def test_records_go_through_the_function_and_by_direct_put_to_s3(setup: Setup) -> None:
    setup.put("a", "b", "c")
    source = setup.run(batchSize=2)
    assert setup.delivered() == ["a", "b", "c"]
    assert (source.counters.invocations, source.counters.processed) == (2, 3)


def test_a_poison_record_is_given_up_alone_and_kept_where_it_can_be_replayed(setup: Setup) -> None:
    setup.put("a", "b", "poison", "c", "d")
    source = setup.run(bisectBatchOnFunctionError=True, maximumRetryAttempts=1)
    assert setup.delivered() == ["a", "b", "c", "d"]
    assert setup.discarded() == ["poison"]
    # All; from the poison on; the poison twice; what is behind it: splitting has cost no retry.
    assert source.counters.invocations == 5
    (key,) = setup.aws.objects(setup.failures)
    assert key.startswith(f"aws/lambda/{source.settings.uuid}/shardId-000000000000/")
    document = json.loads(setup.aws.objects(setup.failures)[key])
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["KinesisBatchInfo"]["batchSize"] == 1


def test_a_batch_whose_function_raises_is_bisected_down_to_the_record_that_makes_it_raise(setup: Setup) -> None:
    setup.put("a", "b", "raise", "c", "d")
    setup.run(bisectBatchOnFunctionError=True, maximumRetryAttempts=0)
    assert setup.delivered() == ["a", "b", "c", "d"]
    assert setup.discarded() == ["raise"]


def test_without_bisecting_what_is_behind_the_poison_is_given_up_with_it(setup: Setup) -> None:
    setup.put("a", "poison", "b")
    source = setup.run(maximumRetryAttempts=1)
    assert setup.delivered() == ["a"]
    assert setup.discarded() == ["b", "poison"]
    assert source.counters.failed_invocations == 2


def test_without_a_limit_the_failing_batch_holds_its_shard_until_the_function_is_mended(setup: Setup) -> None:
    source = setup.source()
    setup.put("raise")
    source.start()
    wait_until(lambda: source.counters.failed_invocations > 1)
    setup.put("a")
    with pytest.raises(LocalRunError, match="as asked for"):
        source.flush(timeout=0.5)
    assert source.counters.processed == 0


def test_a_shard_that_is_held_up_holds_up_no_other(setup: Setup) -> None:
    source = setup.source(batchSize=1)
    setup.put("raise", "a", "b")
    source.start()
    wait_until(lambda: source.counters.failed_invocations > 1)
    setup.put("c", "d", "e", shard=1)
    wait_until(lambda: source.counters.processed == 3)
    assert setup.delivered() == ["c", "d", "e"]


def test_records_that_became_too_old_are_given_up(setup: Setup) -> None:
    clock = FakeClock()
    clock.now = time.time() + 3600
    setup.put("raise")
    setup.run(clock, maximumRecordAgeInSeconds=600)
    assert setup.discarded() == ["raise"]
    (document,) = (json.loads(body) for body in setup.aws.objects(setup.failures).values())
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"


def test_a_failure_destination_that_refuses_is_reported_as_a_loss(setup: Setup) -> None:
    setup.aws.allow(setup.role, allow(KINESIS, setup.stream_arn), setup.find_failures)
    setup.put("raise")
    source = setup.run(maximumRetryAttempts=0)
    assert any("lost" in problem and "s3:PutObject" in problem for problem in source.problems)


def test_a_function_that_may_not_read_the_stream_is_refused_at_the_start(setup: Setup) -> None:
    setup.aws.allow(setup.role, allow("firehose:PutRecordBatch", setup.delivery_arn), setup.find_failures)
    with pytest.raises(LocalRunError, match="kinesis:DescribeStream"):
        setup.source().start()


def test_a_function_that_may_not_put_onto_the_delivery_stream_fails(setup: Setup) -> None:
    keep = allow("s3:PutObject", f"arn:aws:s3:::{setup.failures}/*")
    setup.aws.allow(setup.role, allow(KINESIS, setup.stream_arn), setup.find_failures, keep)
    setup.put("a")
    source = setup.run(maximumRetryAttempts=0)
    assert setup.discarded() == ["a"]
    assert any("firehose:PutRecordBatch" in problem for problem in source.problems)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, 3),
        ({}, 3),
        ({"batchItemFailures": []}, 3),
        ({"batchItemFailures": None}, 3),
        ({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}, 1),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, 0),
        ({"batchItemFailures": [{"itemId": "2"}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": "9"}]}, 0),
    ],
)
def test_an_answer_says_from_which_record_on_to_try_again(answer: object, expected: int) -> None:
    assert failed_from(json.dumps(answer).encode(), ["1", "2", "3"]) == expected


@given(st.binary(max_size=50) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_answer_is_either_understood_or_a_failure_of_the_whole_batch(answer: str | bytes) -> None:
    numbers: Sequence[str] = ["1", "2"]
    body = answer if isinstance(answer, bytes) else answer.encode()
    assert failed_from(body, numbers) in (0, 1, 2)
