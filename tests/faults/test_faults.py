"""Faults on the whole local run, with events going in all the while: none is lost, none is left unexplained."""

import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from emulator.delivery import DeliveryStream
from emulator.errors import LocalRunError
from local.events import Event
from local.switchover import flow
from operations.replay import replay
from tests.emulator.aws import wait_until
from tests.faults.system import System
from tests.local.harness import publish, version_name

POISON: list[bytes] = [
    b"",
    b"\xff\xfe\x00",
    b"{not json",
    b"null",
    b"7",
    b'["a list"]',
    b'{"session_id": "no history"}',
    b'{"browse_history": []}',
    b'{"session_id": "s", "browse_history": "not a list"}',
    b'{"session_id": "s", "browse_history": [{"quantity": 1}]}',
    b"[" * 100_000,
]


def test_a_database_that_stops_and_starts_again_costs_no_event(system: System) -> None:
    sent = system.streaming.put(system.events(10))
    system.database.server.stop()
    try:
        sent |= system.put_during_an_outage()
    finally:
        system.database.server.start()
    system.all_came_back(sent | system.streaming.put(system.events(10)))


def test_switches_a_rollback_and_a_dropped_version_under_load_cost_no_event(system: System) -> None:
    waiting, sent = deque(system.events(400)), dict[str, Event]()
    with flow(system.streaming, waiting, sent):
        loaded = [system.load() for _ in range(5)]
        system.streaming.activate(loaded[-2])
        with pytest.raises(LocalRunError, match=loaded[0]):
            system.streaming.activate(loaded[0])
    system.all_came_back(sent)
    assert len(system.streaming.versions(sent)) > 1
    rolled_back = system.streaming.put(system.events(5))
    system.all_came_back(rolled_back)
    assert system.streaming.versions(rolled_back) == {loaded[-2]: 5}


def test_a_throttled_inference_function_costs_no_event(system: System) -> None:
    functions = system.client("lambda")
    name, _ = system.deployment.function("model_inference")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(ClientError, match="TooManyRequests"):
            functions.invoke(FunctionName=f"{name}:live", Payload=b"{}")
        sent = system.put_during_an_outage()
    finally:
        functions.delete_function_concurrency(FunctionName=name)
    system.all_came_back(sent)


def test_a_bucket_that_refuses_for_a_while_costs_no_event(system: System) -> None:
    s3, bucket = system.client("s3"), system.deployment.output("recommendations_bucket")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    counters = system.streaming.streams[0].counters
    refused = counters.s3_retries
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    try:
        sent = system.streaming.put(system.events(10))
        wait_until(lambda: counters.s3_retries > refused)
        sent |= system.streaming.put(system.events(10))
        assert not system.streaming.versions(sent)
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    system.all_came_back(sent)


def test_poison_of_every_kind_in_every_tenth_place_is_kept_and_costs_no_other_record(system: System) -> None:
    events = [json.dumps(event).encode() for event in system.events(9 * len(POISON))]
    records = [part for index, bad in enumerate(POISON) for part in [*events[9 * index : 9 * index + 9], bad]]
    failed, before = len(system.streaming.failures()), len(system.streaming.records())
    system.client("kinesis").put_records(
        StreamName=system.deployment.output("event_stream_name"),
        Records=[{"Data": record, "PartitionKey": str(index)} for index, record in enumerate(records)],
    )
    wait_until(lambda: len(system.streaming.failures()) - failed >= len(POISON))
    system.streaming.streams[0].flush()
    kept = [line["rawData"] for line in system.streaming.failures()[failed:]]
    assert sorted(kept) == sorted(bad.decode(errors="replace") for bad in POISON)
    sessions = {record["session_id"] for record in system.streaming.records()}
    assert {json.loads(event)["session_id"] for event in events} <= sessions
    assert len(system.streaming.records()) == before + len(events)


@pytest.mark.parametrize("file", ["item_embeddings.csv", "user_tower.onnx"])
def test_a_model_file_whose_checksum_is_wrong_is_not_served_and_costs_no_event(system: System, file: str) -> None:
    served = system.load()
    spoilt = version_name(next(system.numbers))
    publish(system.deployment, system.artifacts, spoilt, spoil=file)
    delivery = system.streaming.next_load()
    assert delivery.dead_lettered_to, delivery.error
    assert file in str(delivery.error)
    sent = system.streaming.put(system.events(10))
    system.all_came_back(sent)
    assert system.streaming.versions(sent) == {served: 10}


def test_what_of_a_batch_over_6_mb_does_not_fit_is_kept_and_comes_back_by_replay(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda's answer may have 6 MB, and with recommendations this batch has more."""
    stream = system.streaming.streams[0]
    events = [{**event, "note": "x" * 400} for event in system.events(8_000)]  # more than fill the buffer of 3 MB
    sessions = {event["session_id"] for event in events}
    failed = len(system.streaming.failures())
    with filled_by_size_alone(stream, monkeypatch):
        batches = stream.counters.lambda_batches
        sent = system.streaming.put(events)
        wait_until(lambda: stream.counters.lambda_batches > batches, seconds=60)
    missing = system.streaming.wait_for(sent, timeout=60)
    kept = [json.loads(line["rawData"]) for line in system.streaming.failures()[failed:]]
    assert 0 < len(kept) == len(missing) < len(events)
    assert Counter(came_back(system, sessions)) + Counter(event["session_id"] for event in kept) == Counter(sessions)

    s3, kinesis = system.client("s3"), system.client("kinesis")
    bucket, name = (system.deployment.output(key) for key in ("recommendations_bucket", "event_stream_name"))
    for _ in range(2):  # what comes twice has the same event_id
        replay(s3, kinesis, bucket, "processing-failed/", name)
        stream.flush()
    assert Counter(came_back(system, sessions)) == Counter(sessions)


@contextmanager
def filled_by_size_alone(stream: DeliveryStream, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The processor's buffer waits until it is full, however slowly records come in; the rest goes out at the end."""
    assert stream.settings.processor is not None
    patient = replace(stream.settings.processor, buffer_seconds=900.0)
    stream.stop(drain=True)
    with monkeypatch.context() as patch:
        patch.setattr(stream, "settings", replace(stream.settings, processor=patient))
        stream.start()
        yield
        stream.stop(drain=True)
    stream.start()


def came_back(system: System, sessions: set[str]) -> list[str]:
    """The sessions that have a record, once for each `event_id`."""
    told = [str(record["session_id"]) for record in system.streaming.records()]
    return [session for session in told if session in sessions]


def test_a_wall_clock_that_jumps_costs_no_event(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    real, jumps = time.time, itertools.cycle((-86_400.0, 0.0, 3_600.0))
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    loaded = system.load()
    sent = system.streaming.put(system.events(20))
    system.all_came_back(sent)
    assert system.streaming.versions(sent) == {loaded: 20}
