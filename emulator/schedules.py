"""EventBridge Scheduler in a local run: each schedule calls its function at its rate, in its own role.

A schedule without a start date calls at once, and then at every period (EventBridge Scheduler User Guide, "Schedule
types": rate-based schedules). It calls asynchronously, so that Lambda's own retries follow ("Using Lambda with Amazon
EventBridge Scheduler", AWS Lambda Developer Guide).
"""

import json
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from emulator.async_invoke import AsyncInvoke, AsyncResult, RefusedError
from emulator.clock import Clock, InterruptedWaitError, SystemClock
from emulator.errors import LocalRunError
from emulator.ministack import NO_RETRIES, MiniStack

SERVICE = "scheduler.amazonaws.com"
TIME_SCALE = 1 / 5
"""A minute takes twelve seconds here: soon enough for somebody who watches, and no burden for a shop's own database."""
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_NOT_REALISED = ("startDate", "endDate", "groupName", "actionAfterCompletion")
_TARGET_NOT_REALISED = ("input", "deadLetterConfig", "ecsParameters", "kinesisParameters", "sqsParameters")


@dataclass(frozen=True)
class Schedule:
    """A declared `aws.scheduler.Schedule`; `period` is in AWS's seconds."""

    name: str
    arn: str
    period: float
    function_arn: str
    role_arn: str
    is_enabled: bool


def read_schedule(name: str, arn: str, inputs: Mapping[str, Any]) -> Schedule:
    """Reads the inputs of an `aws.scheduler.Schedule`. Raises `LocalRunError` for what is not realised."""
    target = inputs["target"]
    expression, window = inputs["scheduleExpression"], inputs["flexibleTimeWindow"]["mode"]
    rate = _RATE.fullmatch(expression)
    # A value of 1 has its unit in the singular (EventBridge User Guide, "Rate expressions reference").
    if rate is None or (rate[1] == "1") != (rate[3] == ""):
        raise LocalRunError(f"schedule {name}: expected a rate such as rate(5 minutes), found {expression!r}")
    if target["arn"].split(":")[2] != "lambda":
        raise LocalRunError(f"schedule {name}: expected a function as its target, found {target['arn']}")
    unknown = [key for key in _NOT_REALISED if inputs.get(key)]
    unknown += [f"target.{key}" for key in _TARGET_NOT_REALISED if target.get(key)]
    if window != "OFF":
        unknown.append(f"flexibleTimeWindow {window}")
    if unknown:
        raise LocalRunError(f"schedule {name}: {', '.join(unknown)} is not part of the local run: leave it out")
    period = int(rate[1]) * UNIT_SECONDS[rate[2]]
    is_enabled = (inputs.get("state") or "ENABLED") == "ENABLED"
    return Schedule(name, arn, period, target["arn"], target["roleArn"], is_enabled)


class Schedules:
    """All schedules of a run. `runs` has the outcome of each call, in the order in which they ended.

    `time_scale` shortens the periods. A call that takes longer than its period delays the
    next one; AWS would make two at once.
    """

    def __init__(self, ministack: MiniStack, clock: Clock | None = None, time_scale: float = TIME_SCALE) -> None:
        self.runs: list[tuple[Schedule, AsyncResult]] = []
        self._ministack = ministack
        self._time_scale = time_scale
        self._clock = clock or SystemClock()
        self._async_invoke = AsyncInvoke(ministack, self._clock, time_scale)
        self._schedules: dict[str, Schedule] = {}
        self._one_call = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, schedule: Schedule) -> None:
        """Adds a schedule. Raises `LocalRunError` if its role does not trust the service, as AWS does at creation."""
        self._ministack.assume_role(schedule.role_arn, SERVICE, schedule.name, schedule.arn)
        self._schedules[schedule.name] = schedule

    def start(self) -> None:
        """Starts the schedules that are enabled, if they do not run yet."""
        if self._threads:
            return
        self._clock.resume()
        self._stopping.clear()
        for schedule in self._schedules.values():
            if schedule.is_enabled:
                thread = threading.Thread(target=self._run, args=(schedule,), name=schedule.name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def stop(self) -> None:
        """Ends the schedules; a call that is under way goes on without them."""
        self._stopping.set()
        self._clock.interrupt()
        self._threads.clear()

    def call(self, function_arn: str) -> AsyncResult:
        """Makes the schedule's call of a function now. Raises `LocalRunError` if no schedule calls it."""
        for schedule in self._schedules.values():
            if schedule.function_arn.startswith(function_arn):
                return self._call(schedule)
        raise LocalRunError(f"schedules: expected one that calls {function_arn}, found {', '.join(self._schedules)}")

    def _run(self, schedule: Schedule) -> None:
        while not self._stopping.is_set():
            self._call(schedule)
            if self._stopping.wait(schedule.period * self._time_scale):
                return

    def _call(self, schedule: Schedule) -> AsyncResult:
        with self._one_call:
            try:
                role = self._ministack.role(schedule.role_arn, SERVICE, schedule.name, schedule.arn)
                client = role.client("lambda", config=NO_RETRIES)
                result = self._async_invoke.invoke(schedule.function_arn, self._event(schedule), client)
            except (RefusedError, LocalRunError, ClientError, InterruptedWaitError) as error:
                result = AsyncResult(error=str(error) or "given up: the run was stopped")
            self.runs.append((schedule, result))
            return result

    def _event(self, schedule: Schedule) -> str:
        """Returns the event of a target without an input ("Using Lambda with Amazon EventBridge Scheduler")."""
        return json.dumps(
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": self._ministack.account_id,
                "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": self._ministack.region,
                "resources": [schedule.arn],
                "detail": "{}",
            }
        )
