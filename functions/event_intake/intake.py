"""Checks events one by one and puts them on the event stream; each is answered for by itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from contracts import api
from contracts.batches import split
from contracts.events import MAX_PUT_BYTES, MAX_PUT_RECORDS, MAX_RECORD_BYTES, SESSION, partition_key
from functions.shared.backoff import Backoff
from functions.shared.deadline import Deadline
from functions.shared.events import RecordError, decode
from functions.shared.http.checks import Schema
from functions.shared.http.problems import FieldError, ProblemError, bad_request

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
RETRY_AFTER = 5

_event = Schema(api.component("Event"))


class _Batch(msgspec.Struct):
    """The body, its events as the bytes that they came as: they go on the stream unchanged."""

    events: list[msgspec.Raw]


_batch = msgspec.json.Decoder(_Batch)


@dataclass(frozen=True)
class _Record:
    data: bytes
    key: str

    @property
    def size(self) -> int:
        return len(self.data) + len(self.key.encode())


class Intake:
    """Puts events on one stream. `client` is boto3's for Kinesis, made without retries."""

    def __init__(self, stream: str, client: Any) -> None:
        self._stream = stream
        self._client = client
        self.begin()

    def begin(self) -> None:
        """Forgets the request before."""
        self.statuses: Counter[int] = Counter()
        """HTTP status → the events that were answered by it."""
        self.problem = ""
        """The reason why not everything was put: Kinesis' error code, or the kind of the exception."""

    def take(self, body: bytes, deadline: Deadline) -> dict[str, Any]:
        """Returns the results of a body that is JSON with a list of events.

        Raises `ProblemError` if not one of the events could be put, though some could have been.
        """
        results: dict[int, Any] = {}
        records: dict[int, _Record] = {}
        raw = _batch.decode(body).events
        for index, event in enumerate(raw):
            try:
                records[index] = _checked(bytes(event), f"events[{index}]")
            except ProblemError as problem:
                results[index] = _refused(problem)
        put: dict[int, str] = {}
        for batch in split(records, lambda index: records[index].size, MAX_PUT_BYTES, MAX_PUT_RECORDS):
            put |= self._put({index: records[index] for index in batch}, deadline)
        if records and not put:
            raise _busy()
        for index in records:
            results[index] = {"status": 202, "event_id": put[index]} if index in put else _refused(_busy())
        self.statuses.update(result["status"] for result in results.values())
        return {"results": [results[index] for index in range(len(raw))]}

    def _put(self, waiting: dict[int, _Record], deadline: Deadline) -> dict[int, str]:
        """Puts records until all are taken or the time is over. Returns index → sequence number of those taken."""
        taken: dict[int, str] = {}
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, deadline.at)
        while True:
            taken |= self._try(waiting)
            waiting = {index: record for index, record in waiting.items() if index not in taken}
            if not waiting or not backoff.wait():
                return taken

    def _try(self, waiting: Mapping[int, _Record]) -> dict[int, str]:
        entries = [{"Data": record.data, "PartitionKey": record.key} for record in waiting.values()]
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=entries)
        except Exception as error:  # whatever it is, the producer is told, and may send the events again
            response = getattr(error, "response", {})  # of botocore's ClientError
            self.problem = response.get("Error", {}).get("Code") or type(error).__name__
            return {}
        results: Sequence[Mapping[str, str]] = answer["Records"]
        self.problem = next((result["ErrorCode"] for result in results if "ErrorCode" in result), self.problem)
        pairs = zip(waiting, results, strict=True)
        return {index: result["SequenceNumber"] for index, result in pairs if "SequenceNumber" in result}


def _checked(data: bytes, field: str) -> _Record:
    """Raises `ProblemError` for what the stream could not process."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_request([FieldError(field, "JSON in UTF-8", "something else")]) from None
    if errors := _event.errors(value, field):
        raise bad_request(errors)
    try:
        decode(data)
    except RecordError as error:
        # The contract's schema is what the stream takes; numbers alone may be beyond what its decoder holds.
        raise bad_request([FieldError(field, "an event that the stream can read", error.reason)]) from None
    record = _Record(data, partition_key(value[SESSION], otherwise=""))
    if record.size > MAX_RECORD_BYTES:
        raise bad_request([FieldError(field, f"at most {MAX_RECORD_BYTES} bytes", f"{record.size} bytes")])
    return record


def _refused(problem: ProblemError) -> dict[str, Any]:
    return {"status": problem.status.value, "problem": problem.document()}


def _busy() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "the event stream did not take it in time: send it again", (), RETRY_AFTER
    )
