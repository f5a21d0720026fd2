"""A Kinesis event source mapping as Lambda has it: batches, partial failures, bisecting, a failure destination.

MiniStack has one too, but it reads the stream in nobody's role and knows no partial failures, retries or destinations.
The rules are those of the Lambda developer guide, "Using Lambda with Kinesis", with its pages on batching and on
retaining discarded records. One batch of a shard is in hand at a time (a parallelization factor of 1).
"""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.clock import Clock, InterruptedWaitError, SystemClock
from local.delivery.buffer import Buffer, split
from local.delivery.records import SourceRecord
from local.delivery.source import KinesisSource
from local.errors import LocalRunError
from local.event_source.batch import MAX_PAYLOAD, Batch, event_record, failed_from, size_of
from local.event_source.failure import send_failure
from local.event_source.settings import MappingSettings, read_mapping
from local.ministack import NO_RETRIES, MiniStack
from local.process import STOP_SECONDS

SERVICE = "lambda.amazonaws.com"
POLL_SECONDS = 0.2
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


class EventSource:
    """Realises one `aws.lambda.EventSourceMapping` from a Kinesis stream. `problems` holds the last errors in words."""

    def __init__(self, ministack: MiniStack, inputs: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.settings: MappingSettings = read_mapping(ministack, inputs)
        self.counters = MappingCounters()
        self.problems: deque[str] = deque(maxlen=20)
        self._ministack = ministack
        self._clock = clock or SystemClock()
        self._role = ministack.role(self.settings.role_arn, SERVICE, "event-source")
        self._source = KinesisSource(self.settings.stream_arn, self._role, self.settings.starting_position)
        self._shards: dict[str, _ShardWork] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._step_lock = threading.RLock()

    def start(self) -> None:
        """Starts reading. Raises `LocalRunError` where the function's role cannot read the stream."""
        self.counters.read -= self.counters.pending
        self._shards.clear()
        self._source.open()
        self._stopping.clear()
        self._clock.resume()
        self._thread = threading.Thread(target=self._run, name="event source", daemon=True)
        self._thread.start()

    def stop(self, drain: bool = True) -> None:
        """Ends the loop. With `drain` what is on the stream is processed first; else a later start reads it again."""
        try:
            if drain and self._thread is not None:
                self.flush()
        finally:
            self._stopping.set()
            self._clock.interrupt()
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.join(STOP_SECONDS)

    def flush(self, timeout: float = 60.0) -> None:
        """Has the function process all that is on the stream now, without waiting for a batching window.

        Raises `LocalRunError` with the last problems where that takes longer than `timeout` seconds.
        """
        deadline = self._clock.monotonic() + timeout
        with self._step_lock:
            self._source.find_new_shards()
            while self._read() or self.counters.pending or not self._source.is_caught_up:
                if self._clock.monotonic() > deadline:
                    problems = "; ".join(self.problems) or "no error was seen"
                    raise LocalRunError(
                        f"event source of {self.settings.function_arn}: {self.counters.pending} records not processed "
                        f"within {timeout:.0f} s: {problems}"
                    )
                if not self._work(force=True):
                    self._clock.sleep(POLL_SECONDS)

    def _run(self) -> None:
        with contextlib.suppress(InterruptedWaitError):
            while not self._stopping.is_set():
                with self._step_lock:
                    moved = self._read() > 0
                    moved = self._work() or moved
                if not moved:
                    self._stopping.wait(POLL_SECONDS)

    def _read(self) -> int:
        """Reads where no shard has more than a batch in hand: a failing shard holds what is behind its batch."""
        if any(work.waiting.is_full for work in self._shards.values()):
            return 0
        try:
            records = self._source.read()
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

    def _work(self, force: bool = False) -> bool:
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
        refused = send_failure(self._ministack, self._role, self.settings, shard_id, batch, condition, self._clock)
        if refused:
            self._problem(refused)
        self.counters.discarded += len(batch.records)
        self._source.checkpoint(batch.records)

    def _done(self, records: list[SourceRecord]) -> None:
        self.counters.processed += len(records)
        self._source.checkpoint(records)

    def _problem(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self.problems.remove(text)
        self.problems.append(text)
