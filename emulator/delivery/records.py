"""A record on its way from the source to S3, and what became of it at the processor."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class SourceRecord:
    """One record of the source; `arrival_ms` is its approximate arrival, milliseconds since 1970.

    A record that was put directly has no shard and no partition key.
    """

    data: bytes
    arrival_ms: int
    shard_id: str
    sequence_number: str
    partition_key: str

    @property
    def record_id(self) -> str:
        """Firehose's form for Kinesis: the sequence number, then six digits of the subsequence number."""
        return f"{self.sequence_number}{0:06d}" if self.shard_id else self.sequence_number


class Result(StrEnum):
    OK = "Ok"
    DROPPED = "Dropped"
    FAILED = "ProcessingFailed"


@dataclass(frozen=True)
class Failure:
    """Why a record could not be processed, in the terms of Firehose's error documents; the end in milliseconds."""

    code: str
    message: str
    attempts: int
    ended_ms: int
    detail: str = field(default="", compare=False)
    """What the local run knows beyond Firehose's own message; never delivered."""


@dataclass(frozen=True)
class Outcome:
    """What is to be delivered for a record: `data` where it is Ok, `failure` where it failed."""

    record: SourceRecord
    result: Result
    data: bytes = b""
    failure: Failure | None = None
