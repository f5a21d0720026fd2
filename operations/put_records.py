"""Puts records on an event stream, and again those that the stream refuses for now."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.events import MAX_PUT_RECORDS
from functions.shared.backoff import Backoff

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
"""Seconds before the first and between later tries."""
BUSY_SECONDS = 60.0
"""Seconds for which the stream may refuse every record, before `StreamBusyError`."""


class StreamBusyError(Exception):
    """The stream takes no record; the text says which stream, how many records wait, and the reason."""


def put_records(
    kinesis: Any,
    stream: str,
    records: Sequence[Mapping[str, Any]],
    note_taken: Callable[[Sequence[int]], None] = lambda _: None,
) -> list[str]:
    """Puts entries of PutRecords requests on the stream (a name), in order, and returns their sequence numbers.

    `note_taken` gets after each request the indexes of the records that it took. Raises `StreamBusyError`.
    """
    numbers: dict[int, str] = {}
    waiting = list(range(len(records)))
    backoff = _backoff()
    while waiting:
        batch = waiting[:MAX_PUT_RECORDS]
        answers = kinesis.put_records(StreamName=stream, Records=[records[index] for index in batch])["Records"]
        results = dict(zip(batch, answers, strict=True))
        taken = {i: result["SequenceNumber"] for i, result in results.items() if not result.get("ErrorCode")}
        refused = [index for index in batch if index not in taken]
        numbers |= taken
        waiting = refused + waiting[MAX_PUT_RECORDS:]
        note_taken(list(taken))
        if len(refused) < len(batch):
            backoff = _backoff()
        if refused and not backoff.wait():
            raise StreamBusyError(
                f"stream {stream}: took no record for {BUSY_SECONDS:g} seconds, and {len(waiting)} wait "
                f"({results[refused[0]]['ErrorCode']}): wait until its producers are done, or give it more shards"
            )
    return [numbers[index] for index in range(len(records))]


def _backoff() -> Backoff:
    return Backoff(FIRST_WAIT, LONGEST_WAIT, time.monotonic() + BUSY_SECONDS)
