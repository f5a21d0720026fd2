"""A Kinesis event source mapping as Lambda has it: batches, partial failures, bisecting, a failure destination.

MiniStack has one too, but it reads the stream in nobody's role and knows no partial failures, retries or destinations.
The rules are those of the Lambda developer guide, "Using Lambda with Kinesis", with its pages on batching and on
retaining discarded records. One batch of a shard is in hand at a time (a parallelization factor of 1).
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.clock import Clock, SystemClock
from emulator.delivery.buffer import Buffer, split
from emulator.delivery.records import SourceRecord
from emulator.delivery.source import KinesisSource
from emulator.errors import LocalRunError
from emulator.event_source.batch import MAX_PAYLOAD, Batch, event_record, failed_from, size_of
from emulator.event_source.failure import find_destination, send_failure
from emulator.event_source.settings import MappingSettings, read_mapping
from emulator.ministack import NO_RETRIES, MiniStack
from emulator.poll_loop import PollLoop

SERVICE = "lambda.amazonaws.com"
MAX_BACKOFF_SECONDS = 10.0


@dataclass
class MappingCounters:
    """What a mapping did since its start; records, except where said otherwise."""

    read: int = 0
    processed: int = 0
    discarded: int = 0
    """Given up after the declared retries or age, and sent to the failure destination."""
    invocations: int = 0
    failed_invocations: int = 0

    @property
    def pending(self) -> int:
        return self.read - self.processed - self.discarded


@dataclass
class _ShardWork:
    """What was read of a shard: first the batches in hand, oldest first, then what is not yet in a batch."""

    waiting: Buffer[SourceRecord]
    batches: deque[Batch] = field(default_factory=deque)


class EventSource(PollLoop):
    """Realises one `aws.lambda.EventSourceMapping` from a Kinesis stream."""

    def __init__(self, ministack: MiniStack, inputs: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.settings: MappingSettings = read_mapping(ministack, inputs)
        self.counters = MappingCounters()
        self._ministack = ministack
        super().__init__(f"event source of {self.settings.function_arn}", clock or SystemClock())
        self._role = ministack.role(self.settings.role_arn, SERVICE, "event-source")
        self._source = KinesisSource(self.settings.stream_arn, self._role, self.settings.starting_position)
        self._shards: dict[str, _ShardWork] = {}

    def _open(self) -> None:
        self.counters.read -= self.counters.pending
        self._shards.clear()
        find_destination(self._role, self.settings)
        self._source.open()

    def _is_drained(self) -> bool:
        return self.counters.pending == 0 and self._read() == 0 and self._source.is_caught_up

    def _look_everywhere(self) -> None:
        self._source.look_everywhere()

    def _pending(self) -> int:
        return self.counters.pending

    def _round(self, force: bool) -> bool:
        moved = self._read() > 0
        return self._work(force) or moved

    def _read(self) -> int:
        """Reads the shards that have not a batch waiting yet: a failing one is held up, and no other for it."""
        held_up = {shard_id for shard_id, work in self._shards.items() if work.waiting.is_full}
        try:
            records = self._source.read(without=held_up)
        except (ClientError, BotoCoreError, LocalRunError) as error:
            self._problem(f"reading {self.settings.stream_arn}: {error}")
            return 0
        for record in records:
            # The buffer counts records, a size of one each: Lambda's batch size is a number of records.
            work = self._shards.setdefault(
                record.shard_id, _ShardWork(Buffer(self.settings.batch_size, self.settings.window_seconds))
            )
            work.waiting.add(record, 1, self._clock.monotonic())
        self.counters.read += len(records)
        return len(records)

    def _work(self, force: bool) -> bool:
        """One invocation for each shard that has a batch due; whether any was made."""
        moved = False
        for shard_id, work in self._shards.items():
            if not work.batches and (force or work.waiting.is_due(self._clock.monotonic())):
                self._make_batches(work)
            if work.batches and work.batches[0].not_before <= self._clock.monotonic():
                self._invoke(shard_id, work.batches)
                moved = True
        return moved

    def _make_batches(self, work: _ShardWork) -> None:
        records = work.waiting.take()
        for start in range(0, len(records), self.settings.batch_size):
            chunk = records[start : start + self.settings.batch_size]
            sized = ((record, size_of(event_record(record, self.settings))) for record in chunk)
            work.batches.extend(Batch(part) for part in split(sized, MAX_PAYLOAD - len('{"Records": []}')))

    def _invoke(self, shard_id: str, batches: deque[Batch]) -> None:
        batch = batches.popleft()
        event = {"Records": [event_record(record, self.settings) for record in batch.records]}
        batch.invocations += 1
        self.counters.invocations += 1
        try:
            functions = self._ministack.client("lambda", config=NO_RETRIES)
            answer = functions.invoke(FunctionName=self.settings.function_arn, Payload=json.dumps(event))
            body: bytes = answer["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            # Not the function's failure: tried again until the records are too old.
            self._retry(shard_id, batches, batch, f"invoking {self.settings.function_arn}: {error}", counts=False)
            return
        numbers = [record.sequence_number for record in batch.records]
        first_failed = 0
        if not answer.get("FunctionError"):
            first_failed = failed_from(body, numbers) if self.settings.reports_failures else len(numbers)
        self._done(batch.records[:first_failed])
        if first_failed < len(numbers):
            batch.response = body
            self._failed(shard_id, batches, batch, first_failed)

    def _failed(self, shard_id: str, batches: deque[Batch], batch: Batch, first_failed: int) -> None:
        """Bisects what is left or has it tried again; splitting uses up no retry."""
        self.counters.failed_invocations += 1
        problem = f"{self.settings.function_arn} failed: {batch.response[:500].decode(errors='replace')}"
        batch.records = batch.records[first_failed:]
        if self.settings.bisects and first_failed:
            batches.appendleft(batch)
            self._problem(problem)
        elif self.settings.bisects and len(batch.records) > 1:
            middle = len(batch.records) // 2
            batches.extendleft([batch.part(slice(middle, None)), batch.part(slice(middle))])
            self._problem(problem)
        else:
            self._retry(shard_id, batches, batch, problem, counts=True)

    def _retry(self, shard_id: str, batches: deque[Batch], batch: Batch, problem: str, counts: bool) -> None:
        """Puts the batch back, or gives it up when its retries are used or its oldest record is too old."""
        self._problem(problem)
        batch.failures += counts
        limit, age = self.settings.retries, self.settings.record_age
        oldest = self._clock.time() - batch.records[0].arrival_ms / 1000
        if limit is not None and batch.failures > limit:
            self._discard(shard_id, batch, "RetryAttemptsExhausted")
        elif age is not None and oldest > age:
            self._discard(shard_id, batch, "RecordAgeExceeded")
        else:
            backoff = min(0.2 * 2.0 ** (batch.invocations - 1), MAX_BACKOFF_SECONDS)
            batch.not_before = self._clock.monotonic() + backoff
            batches.appendleft(batch)

    def _discard(self, shard_id: str, batch: Batch, condition: str) -> None:
        refused = send_failure(self._role, self.settings, shard_id, batch, condition, self._clock)
        if refused:
            self._problem(refused)
        self.counters.discarded += len(batch.records)
        self._source.checkpoint(batch.records)

    def _done(self, records: list[SourceRecord]) -> None:
        self.counters.processed += len(records)
        self._source.checkpoint(records)
