"""A record on its way from the source to S3, and what became of it at the processor."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from contracts.aggregation import unpack


@dataclass(frozen=True)
class SourceRecord:
    """One record of the source; `arrival_ms` is its approximate arrival, milliseconds since 1970.

    A record that was put directly has no shard and no partition key. Of those that a producer packed into one record of
    the source, each has its place as `subsequence`; when the last is delivered, the source's record is done with.
    """

    data: bytes
    arrival_ms: int
    shard_id: str
    sequence_number: str
    partition_key: str
    subsequence: int = 0
    is_last: bool = True

    def unpacked(self) -> list["SourceRecord"]:
        """The records that a producer packed into this one (KPL), as Firehose takes them apart; else itself.

        (Kinesis developer guide, "Use the KPL with Amazon Data Firehose".)
        """
        parts = unpack(self.data) if self.shard_id else None
        if not parts:
            return [self]
        last = len(parts) - 1
        return [replace(self, data=part, subsequence=n, is_last=n == last) for n, part in enumerate(parts)]

    @property
    def record_id(self) -> str:
        """Firehose's form for Kinesis: the sequence number, then six digits of the subsequence number."""
        return f"{self.sequence_number}{self.subsequence:06d}" if self.shard_id else self.sequence_number


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
