"""A delivery stream with Firehose's documented semantics: Kinesis → buffer → Lambda → buffer → S3, without a loss."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contracts.batches import split
from emulator.clock import Clock, SystemClock, backoff
from emulator.delivery.buffer import Buffer
from emulator.delivery.destination import S3Destination, S3Object
from emulator.delivery.direct_put import DirectPutSource
from emulator.delivery.error_log import ErrorLog
from emulator.delivery.kinesis_source import KinesisSource
from emulator.delivery.processor import CallError, LambdaProcessor
from emulator.delivery.records import Outcome, Result, SourceRecord
from emulator.delivery.stream_settings import StreamSettings, read_settings
from emulator.errors import LocalRunError
from emulator.ministack import MiniStack, Role
from emulator.poll_loop import PollLoop

SERVICE = "firehose.amazonaws.com"
MAX_BACKOFF_SECONDS = 10.0


@dataclass
class Counters:
    """Counts of a delivery stream since its start: of records, except where the name says otherwise."""

    read: int = 0
    delivered: int = 0
    dropped: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Firehose's error code → number of records."""
    lambda_batches: int = 0
    lambda_retries: int = 0
    objects: int = 0
    s3_retries: int = 0

    @property
    def pending(self) -> int:
        return self.read - self.delivered - self.dropped - self.failed.total()


@dataclass
class _Delivery:
    """The records of one flush and the objects that are still to be written for them."""

    outcomes: Sequence[Outcome]
    writes: deque[tuple[S3Destination, S3Object]]
    not_before: float = 0.0
    attempts: int = 0


class DeliveryStream(PollLoop):
    """Realises one `aws.kinesis.FirehoseDeliveryStream` from its inputs. Raises `LocalRunError` for what Firehose
    refuses.

    The checkpoint moves after the objects are in S3, so that a record is delivered at least once. While S3 refuses an
    object, nothing more is read, and the source keeps the records.
    """

    def __init__(self, ministack: MiniStack, inputs: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.settings: StreamSettings = read_settings(inputs)
        self.arn = f"arn:aws:firehose:{ministack.region}:{ministack.account_id}:deliverystream/{self.settings.name}"
        self.counters = Counters()
        self._ministack = ministack
        super().__init__(f"delivery stream {self.settings.name}", clock or SystemClock())
        self._build()

    def _build(self) -> None:
        settings = self.settings
        self._delivery_role = self._role(settings.s3.role_arn)
        self._source: KinesisSource | DirectPutSource = DirectPutSource(self._ministack, settings.name)
        envelope = {"deliveryStreamArn": self.arn, "region": self._ministack.region}
        if settings.source_arn is not None and settings.source_role_arn is not None:
            self._source = KinesisSource(settings.source_arn, self._role(settings.source_role_arn))
            envelope["sourceKinesisStreamArn"] = settings.source_arn
        self._destination = S3Destination(settings.s3, self._delivery_role, settings.name)
        self._backup = (
            S3Destination(settings.backup, self._role(settings.backup.role_arn), settings.name)
            if settings.backup
            else None
        )
        self.error_log = ErrorLog(settings.s3.log, self._delivery_role, self.arn, self._clock)
        self._processor: LambdaProcessor | None = None
        if settings.processor:
            role = self._role(settings.processor.role_arn)
            self._processor = LambdaProcessor(settings.processor, role, envelope, self._clock, self._on_lambda_retry)
        self._empty_buffers()

    def _empty_buffers(self) -> None:
        """Empties the buffers: records that an earlier run read and did not deliver are read again from the
        checkpoints."""
        self.counters.read -= self.counters.pending
        hints, s3 = self.settings.processor, self.settings.s3
        self._processing = Buffer[SourceRecord](*((hints.buffer_bytes, hints.buffer_seconds) if hints else (0, 0)))
        self._delivering = Buffer[Outcome](s3.buffer_bytes, s3.buffer_seconds)
        self._delivery: _Delivery | None = None

    def _role(self, arn: str) -> Role:
        return self._ministack.role(arn, SERVICE, self.settings.name, source_arn=self.arn)

    def _open(self) -> None:
        try:
            self._destination.find()
        except ClientError as error:
            raise LocalRunError(
                f"delivery stream {self.settings.name}: its role does not find the bucket: {error}"
            ) from error
        self._source.open()
        self._empty_buffers()

    def _is_drained(self) -> bool:
        in_hand = self._delivery is not None or self._processing or self._delivering
        return not in_hand and self._read() == 0 and self._source.is_caught_up

    def _look_everywhere(self) -> None:
        self._source.look_everywhere()

    def _pending(self) -> int:
        return self.counters.pending

    def _round(self, force: bool) -> bool:
        moved = False
        # Back pressure: while an object waits for S3, no more records are read.
        if self._delivery is None:
            moved = self._read() > 0
        if force or self._processing.is_due(self._clock.monotonic()):
            moved = self._process() or moved
        if self._delivery is None and (force or self._delivering.is_due(self._clock.monotonic())):
            self._prepare_delivery()
        return self._deliver() or moved

    def _read(self) -> int:
        try:
            records = [part for record in self._source.read() for part in record.unpacked()]
        except (ClientError, BotoCoreError, LocalRunError) as error:
            self._problem(f"reading {self._source.stream_arn}: {error}")
            return 0
        self.counters.read += len(records)
        now = self._clock.monotonic()
        for record in records:
            if self._processor:
                self._processing.add(record, len(record.data), now)
            else:
                self._delivering.add(Outcome(record, Result.OK, record.data), len(record.data), now)
        return len(records)

    def _process(self) -> bool:
        records = self._processing.take()
        if not records or self._processor is None:
            return False
        # A read may return more than the hint; each batch has the hint's size all the same.
        now = self._clock.monotonic()
        for batch in split(records, lambda record: len(record.data), self._processing.max_bytes):
            self.counters.lambda_batches += 1
            self._take_outcomes(self._processor, self._processor.process(batch), now)
        return True

    def _take_outcomes(self, processor: LambdaProcessor, outcomes: Sequence[Outcome], now: float) -> None:
        for outcome in outcomes:
            # A failed record counts with its raw data, which is delivered to the error prefix.
            size = len(outcome.data) if outcome.failure is None else len(outcome.record.data)
            self._delivering.add(outcome, size, now)
        for failure in dict.fromkeys(outcome.failure for outcome in outcomes if outcome.failure):
            self._problem(f"{failure.code} {failure.detail}".strip())
            self.error_log.write(failure, processor.settings.function_arn)

    def _prepare_delivery(self) -> None:
        outcomes = self._delivering.take()
        if not outcomes:
            return
        oldest = min(outcome.record.arrival_ms for outcome in outcomes)
        good = [outcome.data for outcome in outcomes if outcome.result is Result.OK]
        failed = [outcome for outcome in outcomes if outcome.result is Result.FAILED]
        writes: deque[tuple[S3Destination, S3Object]] = deque()
        if good:
            writes.append((self._destination, self._destination.data_object(good, oldest)))
        if failed and self._processor:
            function_arn = self._processor.settings.function_arn
            writes.append((self._destination, self._destination.error_object(failed, function_arn, oldest)))
        if self._backup:
            raw = [outcome.record.data for outcome in outcomes]
            writes.append((self._backup, self._backup.data_object(raw, oldest)))
        self._delivery = _Delivery(outcomes, writes)

    def _deliver(self) -> bool:
        """Writes the remaining objects of the current delivery. Returns True if anything was written or finished."""
        delivery = self._delivery
        if delivery is None or self._clock.monotonic() < delivery.not_before:
            return False
        try:
            while delivery.writes:
                destination, item = delivery.writes[0]
                destination.put(item)
                delivery.writes.popleft()
                self.counters.objects += 1
        except (ClientError, BotoCoreError, LocalRunError) as error:
            self.counters.s3_retries += 1
            delivery.attempts += 1
            delivery.not_before = self._clock.monotonic() + backoff(delivery.attempts, 0.5, MAX_BACKOFF_SECONDS)
            self._problem(f"writing s3://{item.bucket}/{item.key}: {error}")
            return False
        self._finish(delivery.outcomes)
        return True

    def _finish(self, outcomes: Sequence[Outcome]) -> None:
        self._delivery = None
        for outcome in outcomes:
            if outcome.failure:
                self.counters.failed[outcome.failure.code] += 1
            elif outcome.result is Result.DROPPED:
                self.counters.dropped += 1
            else:
                self.counters.delivered += 1
        self._source.checkpoint(outcome.record for outcome in outcomes if outcome.record.is_last)

    def _on_lambda_retry(self, error: CallError) -> None:
        self.counters.lambda_retries += 1
        self._problem(f"{error.code}, tried again: {error.detail}")
