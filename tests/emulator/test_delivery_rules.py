"""Firehose's rules one by one, without services: settings, buffers, the processor's calls and its answers."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from emulator.delivery.buffer import Buffer
from emulator.delivery.processor import MAX_PAYLOAD, CallError, LambdaProcessor, read_answer
from emulator.delivery.records import Outcome, Result, SourceRecord
from emulator.delivery.stream_settings import MIB, ProcessorSettings, read_settings
from emulator.errors import LocalRunError
from tests.emulator.aws import FakeClock

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:transform:live"


def inputs(parameters: dict[str, str] | None = None, **s3: Any) -> dict[str, Any]:
    given_parameters = {"LambdaArn": FUNCTION, **(parameters or {})}
    processor = {
        "type": "Lambda",
        "parameters": [{"parameterName": k, "parameterValue": v} for k, v in given_parameters.items()],
    }
    return {
        "name": "events",
        "destination": "extended_s3",
        "kinesisSourceConfiguration": {"kinesisStreamArn": "arn:aws:kinesis:stream/events", "roleArn": "source"},
        "extendedS3Configuration": {
            "bucketArn": "arn:aws:s3:::bucket",
            "roleArn": "role",
            "processingConfiguration": {"enabled": True, "processors": [processor]},
            **s3,
        },
    }


def test_hints_left_out_have_firehoses_defaults() -> None:
    settings = read_settings(inputs())
    assert (settings.s3.buffer_bytes, settings.s3.buffer_seconds) == (5 * MIB, 300)
    assert settings.processor == ProcessorSettings(FUNCTION, "role", 1 * MIB, 60, 3)
    assert (settings.s3.compression, settings.s3.file_extension, settings.backup) == ("UNCOMPRESSED", "", None)


def test_an_extension_takes_the_place_of_the_compressions() -> None:
    assert read_settings(inputs(compressionFormat="GZIP")).s3.file_extension == ".gz"
    assert read_settings(inputs(compressionFormat="GZIP", fileExtension=".jsonl.gz")).s3.file_extension == ".jsonl.gz"


@pytest.mark.parametrize(
    ("parameters", "s3", "message"),
    [
        ({"LambdaArn": FUNCTION.removesuffix(":live")}, {}, "version or alias"),
        ({"LambdaArn": FUNCTION.replace("live", "$LATEST")}, {}, "version or alias"),
        ({"BufferSizeInMBs": "4"}, {}, "BufferSizeInMBs: expected 0.2 to 3, found '4'"),
        ({"BufferSizeInMBs": "0.1"}, {}, "BufferSizeInMBs: expected 0.2 to 3"),
        ({"BufferIntervalInSeconds": "901"}, {}, "BufferIntervalInSeconds: expected 0 to 900"),
        ({"BufferIntervalInSeconds": "soon"}, {}, "found 'soon'"),
        ({"NumberOfRetries": "301"}, {}, "NumberOfRetries: expected 0 to 300"),
        ({"Retries": "1"}, {}, "found ['Retries']"),
        ({}, {"bufferingSize": 129}, "bufferingSize: expected 1 to 128"),
        ({}, {"bufferingInterval": 901}, "bufferingInterval: expected 0 to 900"),
        ({}, {"compressionFormat": "Snappy"}, "expected UNCOMPRESSED or GZIP"),
        ({}, {"customTimeZone": "Europe/Berlin"}, "leave it out, found 'Europe/Berlin'"),
        ({}, {"s3BackupMode": "Enabled"}, "s3BackupConfiguration must be set"),
        ({}, {"cloudwatchLoggingOptions": {"enabled": True}}, "expected logGroupName"),
        ({}, {"dynamicPartitioningConfiguration": {"enabled": True}}, "not part of the local run"),
    ],
)
def test_what_firehose_refuses_is_refused_with_the_streams_name(
    parameters: dict[str, str], s3: dict[str, Any], message: str
) -> None:
    with pytest.raises(LocalRunError) as refused:
        read_settings(inputs(parameters, **s3))
    assert message in str(refused.value)
    assert "delivery stream events" in str(refused.value)


def test_a_buffer_is_due_by_size_or_by_the_age_of_its_oldest_item() -> None:
    buffer = Buffer[str](max_bytes=10, max_seconds=60)
    assert not buffer.is_due(1_000)
    buffer.add("a", 4, now=100)
    buffer.add("b", 5, now=159)
    assert not buffer.is_due(159.9)
    assert buffer.is_due(160)
    buffer.add("c", 1, now=159.9)
    assert buffer.is_due(159.9)
    assert buffer.take() == ["a", "b", "c"]
    assert not buffer.is_due(1_000)


def test_an_interval_of_zero_is_due_at_once() -> None:
    buffer = Buffer[str](max_bytes=10, max_seconds=0)
    buffer.add("a", 1, now=5)
    assert buffer.is_due(5)


def record(number: int, data: bytes = b"x") -> SourceRecord:
    return SourceRecord(data, 1_700_000_000_000, "shardId-000000000000", f"{number:056d}", f"session-{number}")


def ok(event: dict[str, Any]) -> bytes:
    answers = [{"recordId": r["recordId"], "result": "Ok", "data": r["data"]} for r in event["records"]]
    return json.dumps({"records": answers}).encode()


class FakeFunction:
    """Stands for role, client and function: each call takes the next step of the script, then the last one for ever."""

    arn = "role"

    def __init__(self, *script: Callable[[dict[str, Any]], bytes]) -> None:
        self.script = list(script)
        self.payloads: list[str] = []

    def client(self, service: str, config: object) -> "FakeFunction":
        return self

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        self.payloads.append(Payload)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        answer = {"Payload": io.BytesIO(step(json.loads(Payload)))}
        return answer | ({"FunctionError": "Unhandled"} if step in (timed_out, failed) else {})


def failed(event: dict[str, Any]) -> bytes:
    return b'{"errorMessage": "no database"}'


def timed_out(event: dict[str, Any]) -> bytes:
    return b'{"errorMessage": "Task timed out after 60.00 seconds"}'


def throttled(event: dict[str, Any]) -> bytes:
    raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded"}}, "Invoke")


def unreachable(event: dict[str, Any]) -> bytes:
    raise ReadTimeoutError(endpoint_url="http://lambda")


def too_large(event: dict[str, Any]) -> bytes:
    return ok(event) + b" " * MAX_PAYLOAD


def process(function: FakeFunction, *records: SourceRecord, retries: int = 3) -> tuple[list[Outcome], FakeClock]:
    clock = FakeClock()
    settings = ProcessorSettings(FUNCTION, "role", MIB, 60, retries)
    errors: list[CallError] = []
    processor = LambdaProcessor(settings, function, {"region": "us-east-1"}, clock, errors.append)  # type: ignore[arg-type]
    outcomes = processor.process(records)
    assert len(errors) == len(clock.slept), "each retry is told and waited for"
    return outcomes, clock


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (failed, "Lambda.FunctionError"),
        (timed_out, "Lambda.FunctionTimedOut"),
        (throttled, "Lambda.InvokeLimitExceeded"),
        (unreachable, "Lambda.FunctionTimedOut"),
        (too_large, "Lambda.FunctionError"),
    ],
)
def test_a_call_is_tried_once_and_three_times_more(step: Callable[[dict[str, Any]], bytes], code: str) -> None:
    function = FakeFunction(step)
    outcomes, clock = process(function, record(1), record(2))
    assert len(function.payloads) == 4
    assert [outcome.result for outcome in outcomes] == [Result.FAILED] * 2
    failure = outcomes[0].failure
    assert failure is not None
    assert (failure.code, failure.attempts, failure.ended_ms) == (code, 4, round(clock.time() * 1000))


def test_a_retry_that_succeeds_is_the_answer() -> None:
    function = FakeFunction(throttled, failed, ok)
    outcomes, _ = process(function, record(1, b"\x00\xff"))
    assert [(outcome.result, outcome.data) for outcome in outcomes] == [(Result.OK, b"\x00\xff")]
    assert len(function.payloads) == 3


def test_no_call_passes_lambdas_six_megabytes() -> None:
    function = FakeFunction(ok)
    # Small records weigh more as an event than as data: the limit counts the event.
    records = [record(n, b"tiny") for n in range(10_000)] + [record(n, b"x" * MIB) for n in range(10_000, 10_009)]
    outcomes, _ = process(function, *records)
    assert [outcome.record for outcome in outcomes] == records
    sizes = [len(payload.encode()) for payload in function.payloads]
    assert max(sizes) <= MAX_PAYLOAD
    assert min(sizes[:-1]) > MAX_PAYLOAD / 2, "and no call is needlessly small"


def answer(*records: dict[str, Any]) -> bytes:
    return json.dumps({"records": records}).encode()


OK = {"recordId": "1", "result": "Ok", "data": base64.b64encode(b"a").decode()}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"null", "Lambda.JsonProcessingException"),
        (b"{}", "Lambda.JsonProcessingException"),
        (b"not json", "Lambda.JsonProcessingException"),
        (answer(OK | {"result": "ok"}, OK | {"recordId": "2"}), "Lambda.JsonProcessingException"),
        (answer(OK | {"data": "no base64!"}, OK | {"recordId": "2"}), "Lambda.JsonProcessingException"),
        (answer(OK | {"data": {"a": 1}}, OK | {"recordId": "2"}), "Lambda.JsonProcessingException"),
        (answer({"recordId": "1", "result": "Ok"}, OK | {"recordId": "2"}), "Lambda.JsonProcessingException"),
        (answer(OK), "Lambda.MissingRecordId"),
        (answer(OK, OK | {"recordId": "3"}), "Lambda.MissingRecordId"),
        (answer(OK, OK | {"recordId": "2"}, OK), "Lambda.DuplicatedRecordId"),
    ],
)
def test_an_answer_that_is_not_to_the_status_model_fails_the_call(body: bytes, code: str) -> None:
    with pytest.raises(CallError) as failure:
        read_answer(body, {"1", "2"})
    assert failure.value.code == code


def test_records_may_come_back_in_any_order_and_need_data_only_when_ok() -> None:
    body = answer({"recordId": "2", "result": "Dropped"}, {"recordId": "1", "result": "ProcessingFailed", "data": None})
    assert set(read_answer(body, {"1", "2"})) == {"1", "2"}


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_answer_is_either_complete_or_an_error_of_the_call(body: bytes) -> None:
    with pytest.raises(CallError):
        read_answer(body, {"1"})
