"""Transforms records by a Lambda function, with Firehose's event, its checks of the answer, and its retries."""

import base64
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contracts.batches import split
from emulator.clock import Clock, backoff
from emulator.delivery.records import Failure, Outcome, Result, SourceRecord
from emulator.delivery.stream_settings import ProcessorSettings
from emulator.errors import LocalRunError
from emulator.ministack import NO_RETRIES, Role

MAX_PAYLOAD = 6 * 1024 * 1024
"""Lambda's limit for a synchronous request and for its answer, in bytes."""

CALL_SECONDS = 300
"""The seconds that Firehose waits for the function's answer."""

_ONE_CALL = NO_RETRIES.merge(Config(read_timeout=CALL_SECONDS))

# Codes and messages of Firehose's developer guide, "Monitor using CloudWatch Logs", Lambda invocation errors.
_MESSAGES = {
    "Lambda.AssumeRoleAccessDenied": "Access was denied. Ensure that the trust policy for the provided IAM role allows "
    "Firehose to assume the role.",
    "Lambda.InvokeAccessDenied": "Access was denied. Ensure that the access policy allows access to the Lambda "
    "function.",
    "Lambda.ResourceNotFound": "The specified Lambda function does not exist. Use a different function that does "
    "exist.",
    "Lambda.InvokeLimitExceeded": "The Lambda concurrent execution limit is exceeded. Increase the concurrent "
    "execution limit.",
    "Lambda.FunctionTimedOut": "The Lambda function timed out. Increase the Timeout setting in the Lambda function.",
    "Lambda.FunctionError": "The Lambda function was successfully invoked but it returned an error result.",
    "Lambda.JsonProcessingException": "There was an error parsing returned records from the Lambda function. Ensure "
    "that the returned records follow the status model required by Firehose.",
    "Lambda.MissingRecordId": "One or more record IDs were not returned. Ensure that the Lambda function returns all "
    "received record IDs.",
    "Lambda.DuplicatedRecordId": "Multiple records were returned with the same record ID. Ensure that the Lambda "
    "function returns unique record IDs for each record.",
    "Lambda.ProcessingFailedStatus": "ProcessingFailed status set for record.",
}
_INVOKE_ERRORS = {
    "AccessDeniedException": "Lambda.InvokeAccessDenied",
    "AccessDenied": "Lambda.InvokeAccessDenied",
    "ResourceNotFoundException": "Lambda.ResourceNotFound",
    "TooManyRequestsException": "Lambda.InvokeLimitExceeded",
}


class CallError(Exception):
    """A call that failed as a whole. `detail` says more than Firehose's own message."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class LambdaProcessor:
    """Calls one function for one delivery stream. `on_retry` is called with each error that is tried again."""

    def __init__(
        self,
        settings: ProcessorSettings,
        role: Role,
        envelope: dict[str, str],
        clock: Clock,
        on_retry: Callable[[CallError], None],
    ) -> None:
        self.settings = settings
        self._role = role
        self._envelope = envelope
        self._clock = clock
        self._on_retry = on_retry

    def process(self, records: Sequence[SourceRecord]) -> list[Outcome]:
        """Returns an outcome for each record, in order. It makes as few calls as the payload's limit allows."""
        room = MAX_PAYLOAD - len(json.dumps(self._event([])))
        return [outcome for part in split(records, _event_size, room) for outcome in self._process_batch(part)]

    def _process_batch(self, records: Sequence[SourceRecord]) -> list[Outcome]:
        for attempt in range(1, self.settings.retries + 2):
            try:
                answers = self._call(records)
                return [self._outcome(record, answers[record.record_id], attempt) for record in records]
            except CallError as error:
                if attempt <= self.settings.retries:
                    self._on_retry(error)
                    self._clock.sleep(backoff(attempt, 1.0, 8.0))
                    continue
                failure = self._failure(error.code, _MESSAGES[error.code], attempt, error.detail)
                return [Outcome(record, Result.FAILED, failure=failure) for record in records]
        raise AssertionError("unreachable: the last attempt returns")

    def _call(self, records: Sequence[SourceRecord]) -> dict[str, dict[str, Any]]:
        payload = json.dumps(self._event([_event_record(record) for record in records]))
        try:
            client = self._role.client("lambda", config=_ONE_CALL)
            answer = client.invoke(FunctionName=self.settings.function_arn, Payload=payload)
            body: bytes = answer["Payload"].read()
        except ClientError as error:
            code = _INVOKE_ERRORS.get(error.response["Error"]["Code"], "Lambda.FunctionError")
            raise CallError(code, f"{self.settings.function_arn}: {error}") from error
        except LocalRunError as error:
            raise CallError("Lambda.AssumeRoleAccessDenied", str(error)) from error
        except BotoCoreError as error:
            raise CallError("Lambda.FunctionTimedOut", f"no answer in {CALL_SECONDS} s: {error}") from error
        if answer.get("FunctionError"):
            detail = body.decode(errors="replace")
            timed_out = "Task timed out" in detail
            raise CallError("Lambda.FunctionTimedOut" if timed_out else "Lambda.FunctionError", detail)
        if len(body) > MAX_PAYLOAD:
            raise CallError("Lambda.FunctionError", f"the answer's {len(body)} bytes pass Lambda's {MAX_PAYLOAD}")
        return read_answer(body, {record.record_id for record in records})

    def _event(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        return {"invocationId": str(uuid.uuid4()), **self._envelope, "records": records}

    def _outcome(self, record: SourceRecord, answer: dict[str, Any], attempt: int) -> Outcome:
        result = Result(answer["result"])
        if result is Result.FAILED:
            code = "Lambda.ProcessingFailedStatus"
            return Outcome(record, result, failure=self._failure(code, _MESSAGES[code], attempt))
        return Outcome(record, result, base64.b64decode(answer.get("data") or ""))

    def _failure(self, code: str, message: str, attempts: int, detail: str = "") -> Failure:
        return Failure(code, message, attempts, round(self._clock.time() * 1000), detail)


def read_answer(body: bytes, expected: set[str]) -> dict[str, dict[str, Any]]:
    """Returns the answer's records by id, each checked. Raises `CallError` if one is malformed or missing, or comes
    twice."""
    try:
        answers = json.loads(body)["records"]
        ids = [answer["recordId"] for answer in answers]
        for answer in answers:
            if Result(answer["result"]) is Result.OK and not isinstance(answer["data"], str):
                raise TypeError(f"data is a {type(answer['data']).__name__}, not a string")
            base64.b64decode(answer.get("data") or "", validate=True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CallError("Lambda.JsonProcessingException", f"{error!r} in {body[:200]!r}") from error
    if len(set(ids)) < len(ids):
        raise CallError("Lambda.DuplicatedRecordId", f"{len(ids) - len(set(ids))} of {len(ids)} came twice")
    if set(ids) != expected:
        detail = f"missing: {sorted(expected - set(ids))[:3]}, unknown: {sorted(set(ids) - expected)[:3]}"
        raise CallError("Lambda.MissingRecordId", detail)
    return dict(zip(ids, answers, strict=True))


def _event_record(record: SourceRecord) -> dict[str, Any]:
    """Returns a record in the form of Lambda's event for Firehose (Lambda developer guide), with a Kinesis source's
    metadata."""
    event: dict[str, Any] = {
        "recordId": record.record_id,
        "approximateArrivalTimestamp": record.arrival_ms,
        "data": base64.b64encode(record.data).decode(),
    }
    if record.shard_id:
        event["kinesisRecordMetadata"] = {
            "sequenceNumber": record.sequence_number,
            "subsequenceNumber": str(record.subsequence),
            "partitionKey": record.partition_key,
            "shardId": record.shard_id,
            "approximateArrivalTimestamp": record.arrival_ms,
        }
    return event


def _event_size(record: SourceRecord) -> int:
    """Returns a record's share of the event's JSON in bytes, including the ", " before it."""
    return len(json.dumps(_event_record(record))) + 2
