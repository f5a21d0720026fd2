"""The delivery stream on real MiniStack: real roles, real Kinesis, a real Lambda function, real S3."""

import base64
import gzip
import json
import re

from tests.emulator.aws import FakeClock, allow, wait_until
from tests.emulator.delivery_setup import Setup, function_fixture, setup_fixture  # noqa: F401
from tests.functions.lambdas import packed


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
