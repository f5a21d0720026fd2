"""EventBridge Scheduler's schedules on real MiniStack: functions are called at a rate, in the schedule's role."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.errors import LocalRunError
from emulator.schedules import Schedules, read_schedule
from tests.emulator.aws import Aws, allow, trust, unique, wait_until

SAYS = "def handler(event, context):\n    return [event['source'], *event['resources']]"
FAILS = "def handler(event, context):\n    raise ValueError('cannot refresh')"
A_SECOND_AN_HOUR = 1 / 3600


@pytest.fixture
def schedules(aws: Aws) -> Iterator[Schedules]:
    made = Schedules(aws.ministack, time_scale=A_SECOND_AN_HOUR)
    yield made
    made.stop()


def add(schedules: Schedules, function: str, role: str, **more: Any) -> str:
    name = unique("schedule")
    arn = f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}"
    inputs = {
        "scheduleExpression": "rate(5 minutes)",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {"arn": function, "roleArn": role},
        **more,
    }
    schedules.add(read_schedule(name, arn, inputs))
    return arn


def role(aws: Aws, function: str) -> str:
    return aws.role(trust("scheduler.amazonaws.com"), allow("lambda:InvokeFunction", function))


def test_a_function_is_called_at_once_and_again_at_the_rate(aws: Aws, schedules: Schedules) -> None:
    function = aws.function(SAYS)
    arn = add(schedules, function, role(aws, function))
    schedules.start()
    wait_until(lambda: len(schedules.runs) >= 3)
    assert [(result.response, result.error) for _, result in schedules.runs[:3]] == [(["aws.scheduler", arn], None)] * 3
    schedules.stop()


def test_a_disabled_schedule_calls_nobody_and_can_be_called_by_hand(aws: Aws, schedules: Schedules) -> None:
    function = aws.function(SAYS)
    add(schedules, function, role(aws, function), state="DISABLED")
    schedules.start()
    assert schedules.call(function).error is None
    assert len(schedules.runs) == 1


def test_without_its_roles_permission_the_call_is_refused(aws: Aws, schedules: Schedules) -> None:
    function, another = aws.function(SAYS), aws.function(SAYS)
    add(schedules, function, role(aws, another))
    assert "AccessDenied" in str(schedules.call(function).error)


def test_a_role_that_does_not_trust_the_service_is_refused_at_creation(aws: Aws, schedules: Schedules) -> None:
    function = aws.function(SAYS)
    with pytest.raises(LocalRunError, match=r"scheduler.amazonaws.com cannot assume"):
        add(schedules, function, aws.role(trust("events.amazonaws.com"), allow("lambda:InvokeFunction", function)))


def test_a_function_that_fails_is_tried_as_often_as_its_own_settings_say(aws: Aws, schedules: Schedules) -> None:
    function = aws.function(FAILS)
    name, alias = function.split(":")[-2:]
    aws.client("lambda").put_function_event_invoke_config(FunctionName=name, Qualifier=alias, MaximumRetryAttempts=0)
    add(schedules, function, role(aws, function))
    result = schedules.call(function)
    assert "cannot refresh" in str(result.error)
    assert result.attempts == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"scheduleExpression": "cron(0 3 * * ? *)"}, "expected a rate such as"),
        ({"scheduleExpression": "rate(1 minutes)"}, "expected a rate such as"),
        ({"scheduleExpression": "rate(5 minute)"}, "expected a rate such as"),
        ({"flexibleTimeWindow": {"mode": "FLEXIBLE"}}, "flexibleTimeWindow FLEXIBLE"),
        ({"target": {"arn": "arn:aws:sqs:us-east-1:0:q", "roleArn": "r"}}, "expected a function as its target"),
        ({"target": {"arn": "arn:aws:lambda:us-east-1:0:f", "roleArn": "r", "input": "{}"}}, r"target\.input"),
    ],
)
def test_what_is_not_realised_is_refused_by_name(schedules: Schedules, more: dict[str, Any], told: str) -> None:
    with pytest.raises(LocalRunError, match=told):
        add(schedules, "arn:aws:lambda:us-east-1:0:function:f:live", "role", **more)
