"""Replay: what could not be processed goes back on the stream, and nobody who deduplicates sees a double."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.stream_transformation.event_source import FailureBucket
from functions.stream_transformation.transform import Raw
from operations.failed_events import read_documents
from operations.replay import main, replay
from operations.run_note import RUN_NOTE, noted_run
from tests.functions.lambdas import packed
from tests.operations.replay_setup import EVENT, Setup, document, event, invocation_record, sent, setup_fixture  # noqa: F401

OF_ITSELF = "Lambda.ProcessingFailedStatus"


@pytest.mark.parametrize(
    "data",
    [
        EVENT,
        b' {"session_id": "s1", "browse_history": [],\r\n "price": 1.50, "city": "M\xc3\xa1laga"}',
        json.dumps({"session_id": "s1", "browse_history": [], "note": "я" * 300_000}, ensure_ascii=False).encode(),
        EVENT[:-1] + b', "note": "' + b"n" * (1_048_531 - len(EVENT) - 12) + b'"}',
    ],
    ids=["plain", "odd white space", "600 kB of Cyrillic", "1,048,531 bytes"],
)
@pytest.mark.parametrize("number", [None, "49590338271490256608559692538361571095921575989136588898"])
def test_an_event_goes_back_as_the_bytes_that_its_producer_sent(setup: Setup, data: bytes, number: str | None) -> None:
    kept = document(data) if number is None else invocation_record(data, number)
    setup.keep("processing-failed/a.gz", gzip.compress(kept))
    done = setup.replay()
    assert done.events.total() == 1, done.problems
    (record,) = setup.on_stream()
    content, event_id = sent(record)
    assert content == data
    assert event_id == number if number else str(event_id).startswith("replayed-")


def test_what_no_stream_takes_is_told_and_the_others_go_on(setup: Setup) -> None:
    too_large = EVENT[:-1] + b', "note": "' + b"n" * (1_048_570 - len(EVENT)) + b'"}'
    setup.keep("processing-failed/a", document(too_large) + document(EVENT))
    setup.keep("processing-failed/b", document(EVENT, 5))
    done = setup.replay()
    assert (done.events.total(), done.left) == (2, {"too_large": 1})
    (problem,) = done.problems
    assert "processing-failed/a" in problem
    assert "Kinesis takes 1048576" in problem


def test_a_second_run_doubles_nothing(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(EVENT) + document(b"poison") + document(EVENT, 2))
    assert setup.replay().events.total() == 2
    again = setup.replay()
    assert (again.events.total(), again.before, again.left) == (0, 2, {"not_json": 1})
    setup.keep("processing-failed/b", document(EVENT, 3))
    assert setup.replay().events.total() == 1
    assert len(setup.on_stream()) == 3


def test_of_a_versioned_bucket_only_what_is_there_now_goes_back_and_each_event_once(setup: Setup) -> None:
    """The stack's buckets keep replaced and deleted objects as versions, behind delete markers (S3 User Guide)."""
    s3, key = setup.aws.client("s3"), "processing-failed/a"
    s3.put_bucket_versioning(Bucket=setup.bucket, VersioningConfiguration={"Status": "Enabled"})
    setup.keep(key, document(event("first"), 1))
    assert setup.replay().events.total() == 1
    # The transformation's batch comes again, so that its object is replaced.
    setup.keep(key, document(event("first"), 1) + document(event("second"), 2))
    done = setup.replay()
    assert (done.events.total(), done.before) == (1, 1)
    setup.keep("processing-failed/b", document(event("given up"), 3))
    for gone in (key, "processing-failed/b"):
        s3.delete_object(Bucket=setup.bucket, Key=gone)
    done = setup.replay()
    assert (done.files, done.events.total(), done.problems) == (0, 0, [])
    assert len(s3.list_object_versions(Bucket=setup.bucket, Prefix=key)["Versions"]) == 2
    assert len(s3.list_object_versions(Bucket=setup.bucket, Prefix=key)["DeleteMarkers"]) == 1
    # An operator takes the deletion back: nothing that went back already goes again.
    marker = s3.list_object_versions(Bucket=setup.bucket, Prefix=key)["DeleteMarkers"][0]["VersionId"]
    s3.delete_object(Bucket=setup.bucket, Key=key, VersionId=marker)
    done = setup.replay()
    assert (done.events.total(), done.before) == (0, 2)
    sessions = Counter(json.loads(sent(record)[0])["session_id"] for record in setup.on_stream())
    assert sessions == {"first": 1, "second": 1}


def test_what_failed_by_itself_again_is_told_apart_from_what_an_outage_cost(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(EVENT, 1, OF_ITSELF) + document(EVENT, 2, OF_ITSELF))
    setup.replay()
    first, second = setup.on_stream()
    # Both fail again, so that Firehose keeps them anew: the one by itself, the other with its batch.
    setup.keep("processing-failed/b", document(first["Data"], 9, OF_ITSELF) + document(second["Data"], 9))
    done = setup.replay()
    assert (done.events, done.left) == ({"Lambda.FunctionError": 1}, {"failed_again": 1})
    assert setup.replay(again=True).events == {OF_ITSELF: 1}
    ids = Counter(sent(record)[1] for record in setup.on_stream())
    assert ids == {sent(first)[1]: 2, sent(second)[1]: 2}, "each is the same event, however often it failed"


def test_two_events_with_the_same_data_at_different_times_stay_two(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(EVENT, 1) + document(EVENT, 2))
    setup.replay()
    assert len({sent(record)[1] for record in setup.on_stream()}) == 2


def test_poison_is_told_by_its_reason_and_left(setup: Setup) -> None:
    poison = [b"\xff\xfe", b"[1]", b"[" * 100_000, b'{"session_id": "s"}']
    setup.keep("processing-failed/a", b"".join(document(data, code=OF_ITSELF) for data in [*poison, EVENT]))
    done = setup.replay()
    assert done.left == {"not_json": 1, "wrong_shape": 3}
    assert done.events == {OF_ITSELF: 1}, "an answer over 6 MB, say"
    assert len(setup.on_stream()) == 1


def test_what_the_transformation_kept_goes_back_as_the_event_that_it_was(setup: Setup) -> None:
    """A record that the function itself keeps, with Kinesis as event source, comes back by replay."""
    reasons = {"1": "refused_by_inference", "2:1": "refused_by_inference", "3": "line_over_1000_kb", "4": "not_json"}
    records = [Raw(id_, EVENT if id_ != "4" else b"?", id_, "shard", 1_700_000_000_000) for id_ in reasons]
    FailureBucket(setup.bucket, setup.aws.client("s3")).keep(records, reasons, "arn:function")
    done = setup.replay()
    assert (done.events, done.left) == ({"refused_by_inference": 2}, {"line_over_1000_kb": 1, "not_json": 1})
    assert sorted(map(sent, setup.on_stream())) == [(EVENT, "1"), (EVENT, "2:1")]


def test_a_packed_record_that_lambda_gave_up_goes_back_as_its_events(setup: Setup) -> None:
    setup.keep("processing-failed/a", invocation_record(packed(EVENT, b"?", EVENT), "4957"))
    done = setup.replay()
    assert (done.events, done.left) == ({"RetryAttemptsExhausted": 2}, {"not_json": 1})
    assert sorted(map(sent, setup.on_stream())) == [(EVENT, "4957"), (EVENT, "4957:2")]


def test_only_the_failures_asked_for_are_replayed(setup: Setup) -> None:
    setup.keep("processing-failed/a", document(EVENT, 1, OF_ITSELF) + document(EVENT, 2))
    assert setup.replay("Lambda.FunctionError").events == {"Lambda.FunctionError": 1}
    assert setup.replay().events == {OF_ITSELF: 1}


def test_more_than_one_request_holds_all_arrive(setup: Setup) -> None:
    lines = b"".join(document(event(f"s{n}")) for n in range(1201))
    setup.keep("processing-failed/a", lines)
    assert setup.replay().events.total() == 1201
    assert {sent(record)[0] for record in setup.on_stream()} == {event(f"s{n}") for n in range(1201)}


WHOLE = gzip.compress(document(EVENT))
OTHERS = {
    "text": b"hello",
    "no gzip": b"\x1f\x8bno gzip",
    "half a gzip": WHOLE[: len(WHOLE) // 2],
    "a damaged gzip": WHOLE[:10] + b"\xff" + WHOLE[11:],
    "nested deeply": b"[" * 100_000,
    "another record": b'{"requestContext": 7, "payload": 7}',
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_that_is_something_else_is_named_and_the_others_go_on(setup: Setup, other: str) -> None:
    setup.keep("processing-failed/a", OTHERS[other])
    setup.keep("processing-failed/b +&%é", b"")
    setup.keep("processing-failed/c", document(EVENT))
    done = setup.replay()
    assert done.events.total() == 1
    (problem,) = done.problems
    assert "processing-failed/a" in problem


def test_a_line_end_of_unicode_ends_no_document(setup: Setup) -> None:
    """JSON may hold U+2028 and U+0085 as they are; only a line feed ends a document."""
    told = json.loads(document(EVENT)) | {"errorMessage": "\u2028 \u2029 \x85"}
    setup.keep("processing-failed/a", json.dumps(told, ensure_ascii=False).encode() + b"\n" + document(EVENT, 2))
    done = setup.replay()
    assert (done.events.total(), done.problems) == (2, [])


class Expiring:
    """S3, from which one object went after it was listed."""

    def __init__(self, s3: Any, key: str) -> None:
        self.s3, self.key = s3, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def get_object(self, Bucket: str, Key: str) -> Any:
        if Key == self.key:
            self.s3.delete_object(Bucket=Bucket, Key=Key)
        return self.s3.get_object(Bucket=Bucket, Key=Key)


def test_a_file_that_expires_meanwhile_is_named_and_the_others_go_on(setup: Setup) -> None:
    for key in "abc":
        setup.keep(f"processing-failed/{key}", document(event(key)))
    s3 = Expiring(setup.aws.client("s3"), "processing-failed/b")
    done = replay(s3, setup.aws.client("kinesis"), setup.bucket, "processing-failed/", setup.stream)
    assert (done.events.total(), len(done.problems)) == (2, 1)


def test_the_command_finds_a_local_run_by_its_folder(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    setup.keep("processing-failed/a", document(EVENT) + document(b"?"))
    environment = setup.aws.ministack.environment(setup.aws.ministack.root)
    for name in environment:
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
    # What used the process's default session before leaves its credentials in it.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session("another-account", "another-secret"))
    with noted_run(tmp_path, environment, setup.bucket, setup.stream):
        assert (tmp_path / RUN_NOTE).stat().st_mode & 0o077 == 0
        assert main(["--run", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        assert "1 files read; 1 events put back" in told
        assert "1 are left where they are, for they would fail again (1 not_json)" in told
        assert main(["--run", str(tmp_path), "--bucket", "no-such-bucket"]) == 1
        assert "NoSuchBucket" in capsys.readouterr().err
    assert main(["--run", str(tmp_path)]) == 1


def test_the_command_asks_for_what_it_needs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--bucket", "only"]) == 1
    assert "expected --bucket and --stream" in capsys.readouterr().err
    assert main(["--run", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@given(st.binary(max_size=200))
@example(json.dumps({"session_id": "\ud800", "browse_history": []}).encode())
def test_any_bytes_that_failed_are_sent_as_they_are_or_left_for_a_reason(data: bytes) -> None:
    (failed,) = read_documents(document(data))
    assert 0 < len(failed.record["PartitionKey"]) <= 256
    assert sent(failed.record) == (failed.data, failed.event_id)
    assert failed.would_fail() in {None, "not_json", "wrong_shape"}
