"""Replay: what could not be processed goes back on the stream, and nobody who deduplicates sees a double."""

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operations.replay import MAX_TRIES, RUN_NOTE, ReplayError, main, noted_run, read_documents, replay
from tests.emulator.aws import Aws, FakeClock


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
            records += kinesis.get_records(ShardIterator=iterator)["Records"]
        return records

    def replay(self, *codes: str) -> Any:
        s3, kinesis = self.aws.client("s3"), self.aws.client("kinesis")
        return replay(s3, kinesis, self.bucket, "processing-failed/", self.stream, codes)


@pytest.fixture
def setup(aws: Aws) -> Setup:
    return Setup(aws)


def test_raw_data_goes_back_with_its_session_as_partition_key(setup: Setup) -> None:
    event = {"session_id": "s1", "city": "Málaga", "browse_history": [], "extra": 1}
    setup.keep("processing-failed/a.gz", gzip.compress(document(json.dumps(event).encode())))
    assert setup.replay().events == {"Lambda.FunctionError": 1}
    (record,) = setup.on_stream()
    assert record["PartitionKey"] == "s1"
    body = json.loads(record["Data"])
    assert body.pop("event_id")
    assert body == event


def test_replayed_twice_and_again_after_another_failure_an_event_keeps_one_identity(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(b'{"session_id": "s1"}') + document(b'{"session_id": "s2"}'))
    setup.replay()
    setup.replay()
    # The replayed events fail again, so that Firehose keeps them anew, at another time.
    again = b"".join(document(record["Data"], 1_800_000_000_000) for record in setup.on_stream())
    setup.keep("processing-failed/b", again)
    setup.replay()
    identities: dict[str, set[str]] = {}
    for record in setup.on_stream():
        event = json.loads(record["Data"])
        identities.setdefault(event["session_id"], set()).add(event["event_id"])
    assert {session: len(ids) for session, ids in identities.items()} == {"s1": 1, "s2": 1}


def test_two_events_with_the_same_data_at_different_times_stay_two(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(b'{"session_id": "s1"}', 1) + document(b'{"session_id": "s1"}', 2))
    setup.replay()
    assert len({json.loads(record["Data"])["event_id"] for record in setup.on_stream()}) == 2


def test_an_event_source_mappings_record_keeps_its_sequence_number_as_identity(setup: Setup) -> None:
    setup.keep("processing-failed/a", invocation_record(b'{"session_id": "s1"}', "4957"))
    setup.replay()
    (record,) = setup.on_stream()
    assert json.loads(record["Data"])["event_id"] == "4957"


def test_what_is_no_event_is_counted_and_left(setup: Setup) -> None:
    setup.keep(
        "processing-failed/a", b"".join(map(document, [b"\xff\xfe", b"[1]", b"[" * 100_000, b'{"session_id": "s"}']))
    )
    done = setup.replay()
    assert (done.unreadable, done.events.total(), len(setup.on_stream())) == (3, 1, 1)


def test_only_the_failures_asked_for_are_replayed(setup: Setup) -> None:
    poison = document(b'{"session_id": "s1"}', code="Lambda.ProcessingFailedStatus")
    setup.keep("processing-failed/a", poison + document(b'{"session_id": "s2"}'))
    setup.replay("Lambda.FunctionError")
    (record,) = setup.on_stream()
    assert record["PartitionKey"] == "s2"


def test_more_than_one_request_holds_all_arrive(setup: Setup) -> None:
    lines = b"".join(document(json.dumps({"session_id": f"s{n}"}).encode()) for n in range(1201))
    setup.keep("processing-failed/a", lines)
    assert setup.replay().events.total() == 1201
    assert {record["PartitionKey"] for record in setup.on_stream()} == {f"s{n}" for n in range(1201)}


def test_a_file_that_is_something_else_is_named(setup: Setup) -> None:
    setup.keep("processing-failed/notes.txt", b"hello")
    with pytest.raises(ReplayError, match=r"processing-failed/notes\.txt"):
        setup.replay()


def test_the_command_finds_a_local_run_by_its_folder(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    setup.keep("processing-failed/a", document(b'{"session_id": "s1"}') + document(b"?"))
    environment = setup.aws.ministack.environment(setup.aws.ministack.root)
    for name in environment:
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
    with noted_run(tmp_path, environment, setup.bucket, setup.stream):
        assert (tmp_path / RUN_NOTE).stat().st_mode & 0o077 == 0
        assert main(["--run", str(tmp_path)]) == 0
        assert "1 files read; 1 events put back" in capsys.readouterr().out
        assert main(["--run", str(tmp_path), "--bucket", "no-such-bucket"]) == 1
        assert "NoSuchBucket" in capsys.readouterr().err
    assert main(["--run", str(tmp_path)]) == 1


def test_the_command_asks_for_what_it_needs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--bucket", "only"]) == 1
    assert "expected --bucket and --stream" in capsys.readouterr().err
    assert main(["--run", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


class Throttled:
    """A stream that refuses every record but the first of each request, `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[bytes] = []

    def put_records(self, StreamName: str, Records: list[Mapping[str, Any]]) -> dict[str, Any]:
        take = len(Records) if self.times <= 0 else 1
        self.times -= 1
        self.taken += [record["Data"] for record in Records[:take]]
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
        return {"Records": [{}] * take + [refused] * (len(Records) - take)}


@pytest.mark.parametrize("times", [0, 3, 100])
def test_records_that_a_throttled_stream_refuses_are_put_again_each_once(setup: Setup, times: int) -> None:
    sessions = 20
    lines = b"".join(document(json.dumps({"session_id": f"s{n}"}).encode()) for n in range(sessions))
    setup.keep("processing-failed/a", lines)
    stream = Throttled(times)
    call = (setup.aws.client("s3"), stream, setup.bucket, "processing-failed/", "events", (), FakeClock().sleep)
    if times < MAX_TRIES:
        replay(*call)
        assert len(set(stream.taken)) == len(stream.taken) == sessions
    else:
        with pytest.raises(ReplayError, match="refused 12 records 8 times"):
            replay(*call)


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.integers() | ANY_TEXT,
    lambda of: st.lists(of) | st.dictionaries(ANY_TEXT | st.just("session_id"), of),
)


@given(ANY_JSON)
@example({"session_id": "\ud800"})
def test_any_json_that_failed_is_either_an_event_with_an_identity_or_left(data: Any) -> None:
    (event,) = read_documents(document(json.dumps(data).encode()))
    if not isinstance(data, dict):
        assert event is None
        return
    assert event is not None
    assert 0 < len(event.record["PartitionKey"].encode().decode()) <= 256
    assert isinstance(event.body["event_id"], str)
    assert event.body["event_id"]
    assert {**event.body, "event_id": None} == {**data, "event_id": None}
