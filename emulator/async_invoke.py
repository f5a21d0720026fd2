"""Lambda's asynchronous invocation: its retries and its failure destinations.

MiniStack has this too, but does not report how a call ended. The local run must know, for instance, whether the loader
failed.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.clock import Clock, backoff
from emulator.errors import LocalRunError
from emulator.ministack import MiniStack

SERVICE = "lambda.amazonaws.com"
DEFAULT_RETRIES = 2
DEFAULT_EVENT_AGE = 6 * 3600.0
RETRY_SECONDS = (60.0, 120.0)
"""The waits after the first and the second error of the function."""
MAX_THROTTLED_SECONDS = 300.0

_FINAL = {
    "AccessDenied": "NO_PERMISSIONS",
    "AccessDeniedException": "NO_PERMISSIONS",
    "AuthorizationError": "NO_PERMISSIONS",
    "ResourceNotFoundException": "RESOURCE_NOT_FOUND",
    "NotFound": "RESOURCE_NOT_FOUND",
}
"""A service's error code → EventBridge's, for errors that no later try can mend."""
_THROTTLED = ("TooManyRequestsException", "ServiceException", "ResourceConflictException")


class RefusedError(Exception):
    """A service did not take the event. `code` is the error code that EventBridge writes to its dead letters."""

    def __init__(self, code: str, message: str, is_retriable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_retriable = is_retriable

    @classmethod
    def from_client_error(cls, error: ClientError) -> "RefusedError":
        code = _FINAL.get(error.response["Error"]["Code"])
        return cls(code or "SDK_CLIENT_ERROR", str(error), is_retriable=code is None)


@dataclass
class AsyncResult:
    """The result of the last try: `response` is the function's answer, `error` the reason for a failure."""

    response: Any = None
    error: str | None = None
    attempts: int = 0
    dead_lettered_to: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Rules:
    retries: int
    event_age: float
    failure_queue: str | None
    role_arn: str


class AsyncInvoke:
    """Invokes functions as Lambda does for an event that it has accepted. `time_scale` shortens Lambda's waits."""

    def __init__(self, ministack: MiniStack, clock: Clock, time_scale: float) -> None:
        self._ministack = ministack
        self._clock = clock
        self._time_scale = time_scale

    def invoke(self, function_arn: str, payload: str, client: Any) -> AsyncResult:
        """Invokes the function with the caller's client until it succeeds or the retries end.

        Raises `RefusedError` if Lambda does not take the event: the caller may not invoke, or there is no function.
        """
        rules = self._rules(function_arn)
        result = AsyncResult()
        errors, throttles, age = 0, 0, 0.0
        while True:
            result.attempts += 1
            started = self._clock.monotonic()
            throttled = self._try(function_arn, payload, client, result)
            age += self._clock.monotonic() - started
            if result.error is None:
                return result
            if throttled:
                throttles += 1
                wait = backoff(throttles, 1.0, MAX_THROTTLED_SECONDS)
            else:
                wait, errors = RETRY_SECONDS[min(errors, 1)], errors + 1
            if errors > rules.retries or age + wait > rules.event_age:
                self._give_up(rules, function_arn, payload, result)
                return result
            age += wait
            self._clock.sleep(wait * self._time_scale)

    def _try(self, function_arn: str, payload: str, client: Any, result: AsyncResult) -> bool:
        """Makes one call and fills the result. Returns True if Lambda had no capacity, False if the function
        answered."""
        try:
            answer = client.invoke(FunctionName=function_arn, Payload=payload.encode())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THROTTLED:
                raise RefusedError.from_client_error(error) from error
            result.response, result.error = None, str(error)
            return True
        except BotoCoreError as error:
            result.response, result.error = None, str(error)
            return True
        result.response = json.loads(answer["Payload"].read() or b"null")
        result.error = f"{function_arn}: {result.response}" if answer.get("FunctionError") else None
        return False

    def _rules(self, function_arn: str) -> _Rules:
        functions = self._ministack.client("lambda")
        try:
            configuration = functions.get_function_configuration(FunctionName=function_arn)
        except ClientError as error:
            raise RefusedError.from_client_error(error) from error
        try:
            declared = functions.get_function_event_invoke_config(FunctionName=function_arn)
        except ClientError:
            declared = {}  # none declared: Lambda's defaults
        destinations = declared.get("DestinationConfig") or {}
        return _Rules(
            retries=int(declared.get("MaximumRetryAttempts", DEFAULT_RETRIES)),
            event_age=float(declared.get("MaximumEventAgeInSeconds", DEFAULT_EVENT_AGE)),
            failure_queue=(destinations.get("OnFailure") or {}).get("Destination"),
            role_arn=configuration["Role"],
        )

    def _give_up(self, rules: _Rules, function_arn: str, payload: str, result: AsyncResult) -> None:
        """Sends the record that the Lambda developer guide describes ("Capturing records of Lambda asynchronous
        invocations") to the failure destination, in the function's own role.

        A refusal is added to the result's error.
        """
        if rules.failure_queue is None:
            result.error = f"{result.error} (no failure destination: the event is lost)"
            return
        record = {
            "version": "1.0",
            "timestamp": datetime.fromtimestamp(self._clock.time(), UTC).isoformat(timespec="milliseconds"),
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": function_arn,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": result.attempts,
            },
            "requestPayload": json.loads(payload),
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
            "responsePayload": result.response,
        }
        name = rules.failure_queue.rsplit(":", 1)[-1]
        try:
            role = self._ministack.role(rules.role_arn, SERVICE, "destination")
            url = self._ministack.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
            role.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(record))
        except (ClientError, BotoCoreError, LocalRunError) as error:
            result.error = f"{result.error} (lost: failure destination {rules.failure_queue} refused: {error})"
            return
        result.dead_lettered_to.append(rules.failure_queue)
