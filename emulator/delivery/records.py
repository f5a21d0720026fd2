"""A record between the source and S3, and its outcome at the processor."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from contracts.aggregation import unpack


@dataclass(frozen=True)
class SourceRecord:
    """One record of the source. `arrival_ms` is its approximate arrival in milliseconds since 1970.

    A record that was put directly has no shard and no partition key. A producer may pack several records into one
    record of the source: each has its place as `subsequence`, and when the last is delivered, the source's record is
    done.
    """

    data: bytes
    arrival_ms: int
    shard_id: str
    sequence_number: str
    partition_key: str
    subsequence: int = 0
    is_last: bool = True

    def unpacked(self) -> list["SourceRecord"]:
        """Returns the records that a producer packed into this one (KPL), as Firehose unpacks them, or this record
        alone.

        (Kinesis developer guide, "Use the KPL with Amazon Data Firehose".)
        """
        parts = unpack(self.data) if self.shard_id else None
        if not parts:
            return [self]
        last = len(parts) - 1
        return [replace(self, data=part, subsequence=n, is_last=n == last) for n, part in enumerate(parts)]

    @property
    def record_id(self) -> str:
        """The id in Firehose's form for Kinesis: the sequence number, then the subsequence number in six digits."""
        return f"{self.sequence_number}{self.subsequence:06d}" if self.shard_id else self.sequence_number


class Result(StrEnum):
    OK = "Ok"
    DROPPED = "Dropped"
    FAILED = "ProcessingFailed"


@dataclass(frozen=True)
class Failure:
    """The reason why a record could not be processed, in the terms of Firehose's error documents."""

    code: str
    message: str
    attempts: int
    ended_ms: int
    detail: str = field(default="", compare=False)
    """Details that Firehose's own message does not have; never delivered."""


@dataclass(frozen=True)
class Outcome:
    """The data to deliver for a record (`data` of an Ok one), or its `failure`."""

    record: SourceRecord
    result: Result
    data: bytes = b""
    failure: Failure | None = None
