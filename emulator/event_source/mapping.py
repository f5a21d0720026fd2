"""A Kinesis event source mapping as Lambda has it: batches, partial failures, bisecting, a failure destination.

MiniStack has one too, but it reads the stream without a role, and has no partial failures, retries or destinations. The
rules are those of the Lambda developer guide, "Using Lambda with Kinesis", with its pages on batching and on discarded
records. Each shard has one batch in work at a time (a parallelization factor of 1).
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contracts.batches import split
from emulator.clock import Clock, SystemClock, backoff
from emulator.delivery.buffer import Buffer
from emulator.delivery.kinesis_source import KinesisSource
from emulator.delivery.records import SourceRecord
from emulator.errors import LocalRunError
from emulator.event_source.failure import find_destination, send_failure
from emulator.event_source.kinesis_event import MAX_PAYLOAD, Batch, event_record, failed_from, size_of
from emulator.event_source.mapping_settings import MappingSettings, read_mapping
from emulator.ministack import NO_RETRIES, MiniStack
from emulator.poll_loop import PollLoop

SERVICE = "lambda.amazonaws.com"
MAX_BACKOFF_SECONDS = 10.0


@dataclass
class MappingCounters:
    """Counts of a mapping since its start: of records, except where the name says otherwise."""

    read: int = 0
    processed: int = 0
    discarded: int = 0
    """Records that were given up after the declared retries or age, and sent to the failure destination."""
    invocations: int = 0
    failed_invocations: int = 0

    @property
    def pending(self) -> int:
        return self.read - self.processed - self.discarded


@dataclass
class _ShardWork:
    """The records read from a shard: first the batches in work, oldest first, then the records that are in no batch
    yet."""

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
        """Reads the shards that have no full batch waiting: a shard that fails is held up, the others are not."""
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
        """Makes one invocation for each shard that has a batch due. Returns True if any was made."""
        moved = False
        for shard_id, work in self._shards.items():
            if not work.batches and (force or work.waiting.is_due(self._clock.monotonic())):
                self._make_batches(work)
            if work.batches and work.batches[0].not_before <= self._clock.monotonic():
                self._invoke(shard_id, work.batches)
                moved = True
        return moved

    def _make_batches(self, work: _ShardWork) -> None:
        def size(record: SourceRecord) -> int:
            return size_of(event_record(record, self.settings))

        room = MAX_PAYLOAD - len('{"Records": []}')
        work.batches.extend(map(Batch, split(work.waiting.take(), size, room, self.settings.batch_size)))

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
            # This is no failure of the function's: it is tried again until the records are too old.
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
        """Bisects the remaining records, or lets them be tried again. Splitting uses up no retry."""
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
        """Puts the batch back, or gives it up if its retries are used up or its oldest record is too old."""
        self._problem(problem)
        batch.failures += counts
        limit, age = self.settings.retries, self.settings.record_age
        oldest = self._clock.time() - batch.records[0].arrival_ms / 1000
        if limit is not None and batch.failures > limit:
            self._discard(shard_id, batch, "RetryAttemptsExhausted")
        elif age is not None and oldest > age:
            self._discard(shard_id, batch, "RecordAgeExceeded")
        else:
            batch.not_before = self._clock.monotonic() + backoff(batch.invocations, 0.2, MAX_BACKOFF_SECONDS)
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
