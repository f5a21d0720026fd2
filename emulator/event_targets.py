"""Delivers one event to one target of an EventBridge rule, with the permissions, retries and dead letters of AWS.

Two services retry, each its own failures. EventBridge retries an event that does not reach the target's service, by the
target's retry policy; then the event goes to the target's dead-letter queue. An event goes there at once if the call is
forbidden or the target is missing. Lambda retries the function after it has accepted the event: twice after an error of
the function, and for up to six hours while the function is throttled. Then the event goes to the function's failure
destination, never to the target's queue. (EventBridge User Guide, "How EventBridge retries delivering events"; Lambda
Developer Guide, "How Lambda handles errors and retries with asynchronous invocation".)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.async_invoke import AsyncInvoke, RefusedError
from emulator.clock import Clock, backoff
from emulator.errors import LocalRunError
from emulator.event_permissions import ACTIONS, SERVICE, check_queue, check_target, queue_url, refusals
from emulator.ministack import NO_RETRIES, MiniStack
from emulator.permissions import role_may

DEFAULT_RETRIES = 185
DEFAULT_EVENT_AGE = 24 * 3600.0
MAX_BACKOFF_SECONDS = 300.0
_NOT_REALISED = ("input", "inputPath", "inputTransformer")

StartWorkflow = Callable[[str], list[str]]
"""A Glue workflow's name → the crawlers that its start trigger starts."""


def no_workflow(name: str) -> list[str]:
    return []


@dataclass(frozen=True)
class Target:
    """A declared `aws.cloudwatch.EventTarget`; `event_age` in seconds."""

    rule_arn: str
    target_id: str
    arn: str
    role_arn: str | None = None
    dead_letter_arn: str | None = None
    retries: int = DEFAULT_RETRIES
    event_age: float = DEFAULT_EVENT_AGE

    @property
    def service(self) -> str:
        return self.arn.split(":")[2]


@dataclass
class EventDelivery:
    """The outcome of one event at one target. `error` is None if it arrived and, for a function, succeeded."""

    target: Target
    event: str
    attempts: int = 0
    response: Any = None
    error: str | None = None
    dead_lettered_to: list[str] = field(default_factory=list)


def read_target(rule_arn: str, inputs: Mapping[str, Any]) -> Target:
    """Reads the inputs of an `aws.cloudwatch.EventTarget`. Raises `LocalRunError` for a kind that is not realised."""
    arn, retry_policy = inputs["arn"], inputs.get("retryPolicy") or {}
    target = Target(
        rule_arn=rule_arn,
        target_id=inputs.get("targetId") or "target",
        arn=arn,
        role_arn=inputs.get("roleArn"),
        dead_letter_arn=(inputs.get("deadLetterConfig") or {}).get("arn"),
        retries=int(retry_policy.get("maximumRetryAttempts", DEFAULT_RETRIES)),
        event_age=float(retry_policy.get("maximumEventAgeInSeconds", DEFAULT_EVENT_AGE)),
    )
    where = f"target {arn} of {rule_arn}"
    if target.service not in ACTIONS or (target.service == "glue" and ":workflow/" not in arn):
        raise LocalRunError(f"{where}: expected one of {', '.join(ACTIONS)}: no other is realised")
    not_realised = [key for key in _NOT_REALISED if inputs.get(key)]
    if target.role_arn and target.service != "glue":
        not_realised.append("roleArn")
    if not_realised:
        raise LocalRunError(f"{where}: {', '.join(not_realised)} is not part of the local run: leave it out")
    return target


class TargetDelivery:
    """Delivers events. `time_scale` shortens AWS's waits, which are minutes and hours."""

    def __init__(self, ministack: MiniStack, clock: Clock, time_scale: float) -> None:
        self._ministack = ministack
        self._clock = clock
        self._time_scale = time_scale
        self._async_invoke = AsyncInvoke(ministack, clock, time_scale)
        self.start_workflow: StartWorkflow = no_workflow

    def deliver(self, target: Target, event: str) -> EventDelivery:
        """Delivers an event. A failure of the target raises nothing: it is in the delivery's `error`."""
        delivery = EventDelivery(target, event)
        waited = 0.0
        while True:
            delivery.attempts += 1
            try:
                self._send(delivery)
                return delivery
            except RefusedError as refusal:
                delivery.error = str(refusal)
                wait = backoff(delivery.attempts, 1.0, MAX_BACKOFF_SECONDS)
                last = delivery.attempts > target.retries or waited + wait > target.event_age
                if not refusal.is_retriable or last:
                    self._dead_letter(delivery, refusal)
                    return delivery
                waited += wait
                self._clock.sleep(wait * self._time_scale)

    def _send(self, delivery: EventDelivery) -> None:
        """Makes one try. Raises `RefusedError` if the target's service does not take the event."""
        target = delivery.target
        delivery.error = None
        if target.service == "glue":
            self._notify_workflow(delivery)
            return
        check_target(self._ministack, target.arn, target.rule_arn)
        client = self._ministack.client(target.service, config=NO_RETRIES)
        if target.service == "lambda":
            result = self._async_invoke.invoke(target.arn, delivery.event, client)
            delivery.response, delivery.error = result.response, result.error
            delivery.dead_lettered_to += result.dead_lettered_to
            return
        with refusals():
            client.publish(TopicArn=target.arn, Message=delivery.event)

    def _notify_workflow(self, delivery: EventDelivery) -> None:
        """Starts a workflow. It has no policy of its own: EventBridge acts in the target's role alone."""
        target = delivery.target
        if target.role_arn is None:
            raise RefusedError(
                "NO_PERMISSIONS", f"AccessDenied: {target.arn}: expected a role for {SERVICE}, found none"
            )
        try:
            self._ministack.assume_role(target.role_arn, SERVICE, target.target_id, target.rule_arn)
        except LocalRunError as error:
            raise RefusedError("NO_PERMISSIONS", str(error)) from error
        if not role_may(self._ministack, target.role_arn, ACTIONS["glue"], target.arn):
            raise RefusedError(
                "NO_PERMISSIONS", f"AccessDenied: {target.role_arn} may not {ACTIONS['glue']} {target.arn}"
            )
        delivery.response = self.start_workflow(target.arn.rsplit("/", 1)[-1])

    def _dead_letter(self, delivery: EventDelivery, refusal: RefusedError) -> None:
        """Sends the event to the target's dead-letter queue, if the queue's policy allows EventBridge."""
        target, queue = delivery.target, delivery.target.dead_letter_arn
        if queue is None:
            delivery.error = f"{refusal} (no dead-letter queue: the event is lost)"
            return
        try:
            check_queue(self._ministack, queue, target.rule_arn)
            attributes = {
                "RULE_ARN": target.rule_arn,
                "TARGET_ARN": target.arn,
                "ERROR_CODE": refusal.code,
                "ERROR_MESSAGE": str(refusal)[:1000],
            }
            self._ministack.client("sqs").send_message(
                QueueUrl=queue_url(self._ministack, queue),
                MessageBody=delivery.event,
                MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
            )
            delivery.dead_lettered_to.append(queue)
        except (RefusedError, ClientError, BotoCoreError) as error:
            delivery.error = f"{refusal} (and lost, since {queue} cannot take it: {error})"
