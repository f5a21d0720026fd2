"""Turns a batch of raw records into lines, recommendations included; a bad record does not fail the others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.shared.deadline import Deadline
from functions.shared.events import RecordError
from functions.stream_transformation.inference import InferenceClient
from functions.stream_transformation.records import Record


@dataclass(frozen=True)
class Raw:
    """A record as it came: its data, or `None` where it was no base64, and its place in the stream.

    `sequence_number` ends in `:n` for the n-th of several records that a producer packed into one. `shard_id` and
    `arrival_ms` (milliseconds since 1970) are given by an event source only.
    """

    id: str
    data: bytes | None
    sequence_number: str
    shard_id: str = ""
    arrival_ms: int = 0


@dataclass
class Transformed:
    """The result of a batch, by record id: `lines` holds the records for S3, `failures` the other ones' reasons."""

    lines: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    strategies: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)


def transform(raw_records: Sequence[Raw], client: InferenceClient, deadline: Deadline) -> Transformed:
    """Transforms a batch. Raises `InferenceError` if inference does not answer before the deadline."""
    result = Transformed()
    records: dict[str, Record] = {}
    for raw in raw_records:
        try:
            if raw.data is None:
                raise RecordError("not_base64")
            records[raw.id] = Record(raw.data, raw.sequence_number)
        except RecordError as error:
            result.failures[raw.id] = error.reason
    _answer(records, client, deadline, result)
    return result


def _answer(records: Mapping[str, Record], client: InferenceClient, deadline: Deadline, result: Transformed) -> None:
    requests = {id_: record.request(id_) for id_, record in records.items() if record.has_request}
    answers = client.ask(requests, deadline) if requests else {}
    for id_, record in records.items():
        answer = answers.get(id_)
        if answer is not None and answer.error is not None:
            result.failures[id_] = "refused_by_inference"
            continue
        result.lines[id_] = record.line(answer)
        if answer is not None and record.is_recommended:
            result.strategies[answer.strategy] += 1
            result.versions.add(answer.model_version)
