"""Reads a Kinesis stream's shards for a delivery stream or a function, and keeps a checkpoint for each shard."""

import math
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.delivery.records import SourceRecord
from emulator.errors import LocalRunError
from emulator.ministack import Role

MAX_RECORDS = 500
"""The most records of one GetRecords call: the largest records (1 MiB each) of one read fit into memory."""

LIST_SECONDS = 5.0
"""Seconds between two searches for new shards."""


@dataclass
class _Shard:
    iterator: str | None
    checkpoint: str | None = None
    last_read: str | None = None
    behind: bool = True


class KinesisSource:
    """Reads all shards of a stream in a role.

    `start` is `LATEST` (Firehose), from the time of the call of `open`, or `TRIM_HORIZON`, from the oldest record that
    the stream has.
    """

    def __init__(self, stream_arn: str, role: Role, start: str = "LATEST") -> None:
        self.stream_arn = stream_arn
        self._start = start
        self._role = role
        self._shards: dict[str, _Shard] = {}
        self._opened: datetime | None = None
        self._listed = -math.inf
        self._read_all = False

    def open(self) -> None:
        """Finds the shards. Later calls continue from the checkpoints. Raises `LocalRunError` if the role may not
        read."""
        try:
            status = self._kinesis.describe_stream(StreamARN=self.stream_arn)["StreamDescription"]["StreamStatus"]
            if status not in ("ACTIVE", "UPDATING"):
                raise LocalRunError(f"{self.stream_arn}: expected an active stream, found {status}")
            first = self._opened is None
            if self._opened is None:
                # Firehose starts at the latest record; a time before now would give earlier ones.
                self._opened = datetime.now(UTC)
            for shard_id in self._list_shards():
                shard = self._shards.setdefault(shard_id, _Shard(None))
                shard.last_read, shard.behind = shard.checkpoint, True
                shard.iterator = self._iterator(shard_id, first=first)
                self._get_records(shard.iterator, 1)  # only whether the role may; the iterator stays where it is
        except ClientError as error:
            raise LocalRunError(f"role {self._role.arn} cannot read {self.stream_arn}: {error}") from error

    def read(self, without: Collection[str] = ()) -> list[SourceRecord]:
        """Returns the records since the last read, at most `MAX_RECORDS` a shard, except those of the shards in
        `without`.

        Raises `ClientError` or `BotoCoreError`.
        """
        self._read_all = False
        if time.monotonic() - self._listed > LIST_SECONDS:
            self._find_new_shards()
        records: list[SourceRecord] = []
        failure: ClientError | BotoCoreError | None = None
        for shard_id, shard in list(self._shards.items()):
            if shard.iterator is not None and shard_id not in without:
                try:
                    records += self._read_shard(shard_id, shard)
                except (ClientError, BotoCoreError) as error:
                    failure = error
        self._read_all = failure is None
        if failure is not None and not records:
            raise failure  # records of other shards are kept; this shard's failure will come again
        return records

    def checkpoint(self, records: Iterable[SourceRecord]) -> None:
        """Moves the checkpoints behind these records: they are not read again."""
        for record in records:
            self._shards[record.shard_id].checkpoint = record.sequence_number

    def look_everywhere(self) -> None:
        """Makes the next read search for new shards first."""
        self._listed = -math.inf

    @property
    def is_caught_up(self) -> bool:
        """True if the last read succeeded and reached the end of each shard."""
        return self._read_all and not any(shard.behind for shard in self._shards.values() if shard.iterator is not None)

    @property
    def _kinesis(self) -> Any:
        return self._role.client("kinesis")

    def _list_shards(self) -> list[str]:
        pages = self._kinesis.get_paginator("list_shards").paginate(StreamARN=self.stream_arn)
        return [shard["ShardId"] for page in pages for shard in page["Shards"]]

    def _iterator(self, shard_id: str, first: bool = False) -> str:
        last_read = self._shards[shard_id].last_read
        if last_read is not None:
            start: dict[str, Any] = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last_read}
        elif first or self._start == "TRIM_HORIZON":
            start = {"ShardIteratorType": self._start}
        else:
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._opened}
        answer = self._kinesis.get_shard_iterator(StreamARN=self.stream_arn, ShardId=shard_id, **start)
        iterator: str = answer["ShardIterator"]
        return iterator

    def _get_records(self, iterator: str | None, limit: int) -> Any:
        # AWS knows the stream from the iterator; the ARN is given because MiniStack's IAM check needs it.
        return self._kinesis.get_records(StreamARN=self.stream_arn, ShardIterator=iterator, Limit=limit)

    def _read_shard(self, shard_id: str, shard: _Shard) -> list[SourceRecord]:
        try:
            answer = self._get_records(shard.iterator, MAX_RECORDS)
        except self._kinesis.exceptions.ExpiredIteratorException:
            shard.iterator = self._iterator(shard_id)  # five minutes without a read: after a long back pressure
            return []
        except self._kinesis.exceptions.ResourceNotFoundException:
            self._close(shard)  # split or merged, and all its records expired
            return []
        records = [
            SourceRecord(
                data=record["Data"],
                arrival_ms=round(record["ApproximateArrivalTimestamp"].timestamp() * 1000),
                shard_id=shard_id,
                sequence_number=record["SequenceNumber"],
                partition_key=record["PartitionKey"],
            )
            for record in answer["Records"]
        ]
        if records:
            shard.last_read = records[-1].sequence_number
        shard.iterator = answer.get("NextShardIterator")
        shard.behind = answer["MillisBehindLatest"] > 0
        if shard.iterator is None:
            self._close(shard)
        return records

    def _close(self, shard: _Shard) -> None:
        """Ends a shard that was split or merged, and finds its children."""
        shard.iterator = None
        self._find_new_shards()

    def _find_new_shards(self) -> None:
        """Finds shards that a split or a merge made; they are read from their beginning."""
        self._listed = time.monotonic()
        for shard_id in self._list_shards():
            if shard_id not in self._shards:
                self._shards[shard_id] = _Shard(None)
                self._shards[shard_id].iterator = self._iterator(shard_id)
