"""The delivery stream on real MiniStack: real roles, real Kinesis, a real Lambda function, real S3."""

import base64
import gzip
import json
import re
from collections.abc import Iterator

import pytest

from emulator.errors import LocalRunError
from emulator.ministack import MiniStack
from tests.emulator.aws import Aws, FakeClock, allow, trust, wait_until
from tests.emulator.delivery_setup import BUCKET, FUNCTION, KINESIS, Setup
from tests.functions.lambdas import packed


@pytest.fixture(scope="module")
def function(ministack: MiniStack) -> str:
    return Aws(ministack).function(FUNCTION)


@pytest.fixture
def setup(aws: Aws, function: str) -> Iterator[Setup]:
    made = Setup(aws, function)
    yield made
    for delivery in made.started:
        delivery.stop(drain=False)


def test_records_come_out_transformed_and_in_order_without_an_added_delimiter(setup: Setup) -> None:
    delivery = setup.start()
    setup.put("a", "b", "c")
    delivery.flush()
    assert setup.delivered() == b"A\nB\nC\n"
    assert (delivery.counters.read, delivery.counters.delivered, delivery.counters.pending) == (3, 3, 0)


def test_an_objects_name_has_prefix_time_of_the_oldest_record_and_uuid(setup: Setup) -> None:
    delivery = setup.start(prefix="data/y=!{timestamp:yyyy}/")
    setup.put("a")
    delivery.flush()
    (key,) = setup.aws.objects(setup.bucket)
    uuid4 = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert re.fullmatch(rf"data/y=\d{{4}}/{setup.name}-1-\d{{4}}(-\d\d){{5}}-{uuid4}", key)


def test_the_function_gets_the_event_that_firehose_documents(setup: Setup) -> None:
    delivery = setup.start()
    (sequence_number,) = setup.put("event")
    delivery.flush()
    event = json.loads(setup.delivered())
    (record,) = event.pop("records")
    arrival = record["approximateArrivalTimestamp"]
    assert isinstance(arrival, int)
    assert arrival > 1_700_000_000_000, "milliseconds"
    assert event.pop("invocationId")
    assert event == {
        "deliveryStreamArn": delivery.arn,
        "sourceKinesisStreamArn": setup.stream_arn,
        "region": "us-east-1",
    }
    assert record == {
        "recordId": f"{sequence_number}000000",
        "approximateArrivalTimestamp": arrival,
        "data": base64.b64encode(b"event").decode(),
        "kinesisRecordMetadata": {
            "sequenceNumber": sequence_number,
            "subsequenceNumber": "0",
            "partitionKey": "session-event",
            "shardId": "shardId-000000000000",
            "approximateArrivalTimestamp": arrival,
        },
    }


def test_a_processing_failed_record_costs_no_other_and_a_dropped_one_is_gone(setup: Setup) -> None:
    delivery = setup.start()
    setup.put("a", "ProcessingFailed", "Dropped", "b")
    delivery.flush()
    assert setup.delivered() == b"A\nB\n"
    (error,) = setup.errors()
    assert base64.b64decode(error["rawData"]) == b"ProcessingFailed"
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.ProcessingFailedStatus", 1)
    assert error["lambdaArn"] == setup.function
    assert error["arrivalTimestamp"] <= error["attemptEndingTimestamp"]
    assert delivery.counters.dropped == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise", "Lambda.FunctionError"),
        ("missing", "Lambda.MissingRecordId"),
        ("double", "Lambda.DuplicatedRecordId"),
        ("no list", "Lambda.JsonProcessingException"),
    ],
)
def test_a_call_that_fails_is_retried_and_then_its_batch_is_in_processing_failed(
    setup: Setup, text: str, code: str
) -> None:
    clock = FakeClock()
    delivery = setup.start({"NumberOfRetries": "1", "BufferIntervalInSeconds": "60"}, clock)
    setup.put("a", text)
    delivery.flush()
    assert setup.delivered() == b""
    assert {base64.b64decode(error["rawData"]).decode() for error in setup.errors()} == {"a", text}
    assert {(error["errorCode"], error["attemptsMade"]) for error in setup.errors()} == {(code, 2)}
    assert delivery.counters.lambda_retries == 1
    assert delivery.counters.failed == {code: 2}


def test_a_function_that_times_out_is_named_so(aws: Aws) -> None:
    setup = Setup(aws, aws.function(FUNCTION, timeout=1))
    delivery = setup.start({"NumberOfRetries": "0"})
    setup.put("sleep")
    delivery.flush()
    delivery.stop(drain=False)
    assert [error["errorCode"] for error in setup.errors()] == ["Lambda.FunctionTimedOut"]


def test_without_the_permission_to_invoke_the_records_are_kept_and_the_reason_is_logged(setup: Setup) -> None:
    setup.forbid("lambda")
    delivery = setup.start({"NumberOfRetries": "0"})
    setup.put("a")
    delivery.flush()
    (error,) = setup.errors()
    assert (error["errorCode"], base64.b64decode(error["rawData"])) == ("Lambda.InvokeAccessDenied", b"a")
    assert any(setup.function in problem for problem in delivery.problems)
    events = setup.aws.client("logs").filter_log_events(logGroupName=setup.log_group)["events"]
    assert json.loads(events[0]["message"])["errorCode"] == "Lambda.InvokeAccessDenied"


def test_while_s3_refuses_nothing_is_lost_and_nothing_more_is_read(setup: Setup) -> None:
    setup.forbid("s3")
    delivery = setup.start()
    setup.put("a")
    wait_until(lambda: delivery.counters.s3_retries > 0)
    setup.put("b")
    with pytest.raises(LocalRunError, match=setup.bucket):
        delivery.flush(timeout=1.0)
    assert delivery.counters.read == 1, "back pressure: what cannot be delivered stays on the stream"
    setup.aws.allow(setup.role, *setup.statements.values())
    delivery.flush()
    assert sorted(setup.delivered().split()) == [b"A", b"B"]


def test_an_object_that_is_written_is_not_written_again_because_another_was_refused(setup: Setup) -> None:
    data_only = allow("s3:PutObject", f"arn:aws:s3:::{setup.bucket}/data/*")
    setup.forbid("s3", data_only)
    delivery = setup.start({"BufferIntervalInSeconds": "60"})
    setup.put("a", "ProcessingFailed")
    with pytest.raises(LocalRunError, match="2 records not done"):
        delivery.flush(timeout=1.0)
    setup.aws.allow(setup.role, *setup.statements.values())
    delivery.flush()
    assert (setup.delivered(), len(setup.errors())) == (b"A\n", 1)
    assert delivery.counters.objects == 2


def test_a_throttled_function_costs_no_record(setup: Setup) -> None:
    name, functions = setup.function.split(":")[-2], setup.aws.client("lambda")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    delivery = setup.start()
    setup.put("a")
    wait_until(lambda: delivery.counters.lambda_retries > 0)
    assert any("TooManyRequests" in problem for problem in delivery.problems)
    functions.delete_function_concurrency(FunctionName=name)
    delivery.flush()
    assert setup.delivered() == b"A\n"
    assert delivery.counters.failed == {}


def test_nothing_is_processed_or_delivered_before_its_buffers_are_due(setup: Setup) -> None:
    clock = FakeClock()
    delivery = setup.start({"BufferIntervalInSeconds": "60"}, clock, bufferingInterval=300)
    setup.put("a")
    wait_until(lambda: delivery.counters.read == 1)
    clock.now += 59
    setup.put("b")
    wait_until(lambda: delivery.counters.read == 2)
    assert delivery.counters.lambda_batches == 0
    clock.now += 1
    wait_until(lambda: delivery.counters.lambda_batches == 1)
    clock.now += 299
    setup.put("c")
    wait_until(lambda: delivery.counters.read == 3)
    assert setup.aws.objects(setup.bucket) == {}
    clock.now += 1
    wait_until(lambda: delivery.counters.delivered == 2)
    assert setup.delivered() == b"A\nB\n"


def test_a_batch_for_the_function_has_the_hints_size(setup: Setup) -> None:
    delivery = setup.start({"BufferSizeInMBs": "0.2", "BufferIntervalInSeconds": "900"})
    setup.put(*(str(n) * 50_000 for n in range(9)))
    delivery.flush()
    assert delivery.counters.lambda_batches == 3, "four records of 50 kB in each batch of 0.2 MiB"
    assert delivery.counters.delivered == 9


def test_a_source_that_cannot_be_read_any_more_is_not_taken_for_drained(setup: Setup) -> None:
    delivery = setup.start()
    delivery.flush()
    setup.aws.allow(setup.source_role, allow("kinesis:ListShards", setup.stream_arn))
    setup.put("a")
    with pytest.raises(LocalRunError, match="kinesis:GetRecords"):
        delivery.flush(timeout=1.0)


def test_a_defect_stops_the_loop_and_is_told_not_passed_over(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = setup.start()
    monkeypatch.setattr(delivery, "_process", lambda: 1 / 0)
    setup.put("a")
    wait_until(lambda: "ZeroDivisionError" in "".join(delivery.problems))
    with pytest.raises(LocalRunError, match="the loop broke"):
        delivery.flush()
    monkeypatch.undo()
    delivery.stop(drain=False)
    delivery.start()
    delivery.flush()
    assert setup.delivered() == b"A\n"


def test_a_stream_that_is_resharded_loses_no_record(setup: Setup) -> None:
    delivery, kinesis = setup.start(), setup.aws.client("kinesis")
    setup.put(*"abc")
    delivery.flush()  # MiniStack forgets a shard's records when it is split, AWS keeps them
    kinesis.split_shard(
        StreamName=setup.stream_arn.rsplit("/", 1)[-1],
        ShardToSplit="shardId-000000000000",
        NewStartingHashKey=str(2**127),
    )
    wait_until(
        lambda: kinesis.describe_stream(StreamARN=setup.stream_arn)["StreamDescription"]["StreamStatus"] == "ACTIVE"
    )
    setup.put(*"defghi")
    delivery.flush()
    assert sorted(setup.delivered().split()) == [letter.encode() for letter in "ABCDEFGHI"]


def test_what_was_read_and_not_delivered_is_read_again_after_a_stop(setup: Setup) -> None:
    delivery = setup.start({"BufferIntervalInSeconds": "60"})
    setup.put("a")
    delivery.flush()
    setup.put("b")
    wait_until(lambda: delivery.counters.read == 2)
    delivery.stop(drain=False)
    setup.put("c")
    assert setup.delivered() == b"A\n"
    delivery.start()
    delivery.flush()
    assert sorted(setup.delivered().split()) == [b"A", b"B", b"C"]


def test_gzip_and_a_backup_of_the_source(setup: Setup) -> None:
    backup = setup.aws.bucket()
    setup.aws.allow(setup.role, *setup.statements.values(), allow("s3:PutObject", f"arn:aws:s3:::{backup}/*"))
    delivery = setup.start(
        compressionFormat="GZIP",
        s3BackupMode="Enabled",
        s3BackupConfiguration={"bucketArn": f"arn:aws:s3:::{backup}", "roleArn": setup.role, "prefix": "raw/"},
    )
    setup.put("a", "Dropped")
    delivery.flush()
    ((key, body),) = setup.aws.objects(setup.bucket).items()
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"A\n"
    ((key, body),) = setup.aws.objects(backup).items()
    assert key.startswith("raw/")
    assert body == b"aDropped"


@pytest.mark.parametrize("action", KINESIS)
def test_a_source_role_without_one_of_its_permissions_is_refused_at_the_start(setup: Setup, action: str) -> None:
    setup.aws.allow(setup.source_role, allow([a for a in KINESIS if a != action], setup.stream_arn))
    with pytest.raises(LocalRunError) as refused:
        setup.start()
    assert action in str(refused.value)
    assert setup.source_role in str(refused.value)


@pytest.mark.parametrize("action", BUCKET)
def test_a_delivery_role_without_one_of_the_buckets_permissions_is_refused_at_the_start(
    setup: Setup, action: str
) -> None:
    setup.forbid("bucket", allow([a for a in BUCKET if a != action], f"arn:aws:s3:::{setup.bucket}"))
    with pytest.raises(LocalRunError, match=action):
        setup.start()


def test_a_role_that_trusts_somebody_else_is_refused_at_the_start(setup: Setup) -> None:
    setup.role = setup.aws.role(trust("lambda.amazonaws.com"), *setup.statements.values())
    with pytest.raises(LocalRunError, match=r"firehose\.amazonaws\.com cannot assume"):
        setup.start()


def test_records_that_a_producer_packed_come_to_the_function_one_by_one(setup: Setup) -> None:
    delivery = setup.start()
    record = {"Data": packed(b"a", b"event", b"ProcessingFailed"), "PartitionKey": "k"}
    number = setup.aws.client("kinesis").put_record(StreamARN=setup.stream_arn, **record)["SequenceNumber"]
    delivery.flush()
    first, told = setup.delivered().split(b"\n", 1)
    assert first == b"A"
    seen = json.loads(told)["records"]
    assert [base64.b64decode(one["data"]) for one in seen] == [b"a", b"event", b"ProcessingFailed"]
    assert [one["recordId"] for one in seen] == [f"{number}{n:06d}" for n in range(3)]
    assert [one["kinesisRecordMetadata"]["subsequenceNumber"] for one in seen] == ["0", "1", "2"]
    assert {one["kinesisRecordMetadata"]["sequenceNumber"] for one in seen} == {number}
    (error,) = setup.errors()
    assert base64.b64decode(error["rawData"]) == b"ProcessingFailed"
