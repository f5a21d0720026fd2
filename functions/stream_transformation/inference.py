"""Calls the inference function for a batch: one call, or more if Lambda's 6 MB need it, retried while time is left."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contracts.batches import split
from functions.shared.backoff import Backoff
from functions.shared.deadline import Deadline
from functions.shared.environment import SettingError
from functions.shared.limits import PAYLOAD_BYTES, ResponseTooLargeError

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between two tries: see `Backoff`."""

TOO_LARGE = frozenset({ResponseTooLargeError.__name__, "Function.ResponseSizeTooLarge"})
"""Error types of an answer over the limit: the function's own, and the platform's."""


REFUSALS = frozenset({"AccessDeniedException", "ResourceNotFoundException"})
"""Error codes of Lambda's Invoke that no later try can mend."""

NOTHING = msgspec.Raw(b"[]")


class InferenceError(RuntimeError):
    """There is no answer before the deadline. The function fails, and Firehose or Lambda sends the batch again."""


class _AnswerTooLargeError(Exception):
    pass


class _RefusedError(InferenceError):
    """The call can never succeed, so it is not tried again."""


class Response(msgspec.Struct):
    """The answer to one request, or its error. The lists go into the record as raw JSON, without being decoded."""

    id: str | None = None
    recommended_items: msgspec.Raw = NOTHING
    similar_items: msgspec.Raw = NOTHING
    strategy: str = ""
    error: str | None = None
    model_version: str = ""


class _Answer(msgspec.Struct):
    model_version: str
    responses: list[Response]


_answers = msgspec.json.Decoder(_Answer)


class InferenceClient:
    """Calls one function (a name or a qualified ARN). `client` is boto3's for Lambda, made without retries."""

    def __init__(self, function: str, limit: int, client: Any) -> None:
        self._function = function
        self._limit = limit
        self._client = client

    def ask(self, requests: Mapping[str, bytes], deadline: Deadline) -> dict[str, Response]:
        """Returns a response for each request (id → JSON). Raises `InferenceError`."""
        answers: dict[str, Response] = {}
        # A request and the comma behind it.
        for batch in split(requests.items(), lambda entry: len(entry[1]) + 1, PAYLOAD_BYTES):
            answers.update(self._ask(batch, deadline))
        return answers

    def _ask(self, batch: Sequence[tuple[str, bytes]], deadline: Deadline) -> dict[str, Response]:
        try:
            answer = self._retried(batch, deadline)
        except _AnswerTooLargeError:
            if len(batch) == 1:
                return {batch[0][0]: Response(error="answer over 6 MB")}
            middle = len(batch) // 2
            return self._ask(batch[:middle], deadline) | self._ask(batch[middle:], deadline)
        responses = {response.id: response for response in answer.responses if response.id is not None}
        if missing := [id_ for id_, _ in batch if id_ not in responses]:
            raise InferenceError(f"{self._function}: expected {len(batch)} answers, {len(missing)} are missing")
        for response in responses.values():
            response.model_version = answer.model_version
        return responses

    def _retried(self, batch: Sequence[tuple[str, bytes]], deadline: Deadline) -> _Answer:
        payload = b'{"limit":%d,"requests":[' % self._limit + b",".join(request for _, request in batch) + b"]}"
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, deadline.at)
        while True:
            try:
                return self._invoke(payload)
            except (_AnswerTooLargeError, _RefusedError):
                raise
            except Exception as error:  # whatever it is, the batch must be answered for or raised
                if not backoff.wait():
                    raise InferenceError(f"{self._function}: no answer in the time that is left: {error}") from error

    def _invoke(self, payload: bytes) -> _Answer:
        try:
            result = self._client.invoke(FunctionName=self._function, Payload=payload)
        except Exception as error:
            if error_code(error) in REFUSALS:
                raise _RefusedError(f"{self._function}: {error}") from error
            raise
        content = result["Payload"].read()
        if "FunctionError" in result:
            failure = msgspec.json.decode(content)
            if failure.get("errorType") in TOO_LARGE:
                raise _AnswerTooLargeError
            kind = _RefusedError if failure.get("errorType") == SettingError.__name__ else InferenceError
            raise kind(f"{failure.get('errorType')}: {failure.get('errorMessage')}")
        return _answers.decode(content)


def error_code(error: Exception) -> str | None:
    """Returns AWS's error code of a `ClientError`, without importing botocore."""
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
