"""The delivery stream when the function, S3, its source or its role fails: no record is lost."""

import base64
import json

import pytest

from emulator.errors import LocalRunError
from tests.emulator.aws import Aws, FakeClock, allow, trust, wait_until
from tests.emulator.delivery_setup import BUCKET, FUNCTION, KINESIS, Setup, function_fixture, setup_fixture  # noqa: F401


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
