"""The last recommendation records and the failed events of a stack, as its delivery stream wrote them to S3."""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.events import CUSTOMER, EVENT_ID, FAILED_PREFIX, HISTORY, ITEMS, TYPE, EventType
from operations.recommendations import RECOMMENDATIONS_PREFIX, Record, read_lines

SHOWN = 10
BATCH_CODES, ONE_RECORD = "Lambda.", "Lambda.ProcessingFailedStatus"
"""Firehose's error codes of a function that failed (Firehose developer guide, "Handle failure in data transformation"),
and the one of a record that the function itself refused."""
MAX_OBJECTS = 200
"""The most new objects that are read at one look; the rest are read at the next ones."""


class LastRecords:
    """Reads each object of this hour and the last one once, and keeps the newest records and the failures' reasons."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._seen: set[str] = set()
        self._records: deque[Record] = deque(maxlen=SHOWN)
        self._reasons: Counter[str] = Counter()
        self.failed = 0
        """The events below `processing-failed/`."""

    def look(self) -> None:
        """Reads what was written since the last look."""
        left = MAX_OBJECTS
        current: set[str] = set()
        for prefix in [*_hours(RECOMMENDATIONS_PREFIX), FAILED_PREFIX]:
            for key in self._keys(prefix):
                current.add(key)
                if key not in self._seen and left:
                    left -= 1
                    self._seen.add(key)
                    self._take(prefix, read_lines(self._s3, self._bucket, key))
        self._seen &= current

    def records(self) -> list[dict[str, Any]]:
        """Returns the newest records, the newest first, with what the console shows of them."""
        newest = sorted(self._records, key=lambda record: str(record[EVENT_ID]), reverse=True)
        return [
            {
                "type": record.get(TYPE, EventType.BROWSE.value),
                "customer": record.get(CUSTOMER),
                "n_items": len(record.get(HISTORY) or record.get(ITEMS) or []),
                "strategy": record.get("strategy"),
                "version": record.get("model_version"),
                "recommended": [item["id"] for item in record.get("recommended_items") or []],
            }
            for record in newest
        ]

    def reasons(self) -> Counter[str]:
        """Returns reason → number of events whose batch failed. Why single events failed, the function's log tells."""
        return self._reasons.copy()

    def _take(self, prefix: str, lines: Iterator[Record]) -> None:
        for line in lines:
            if prefix == FAILED_PREFIX:
                self.failed += 1
                if str(line.get("errorCode")).startswith(BATCH_CODES) and line["errorCode"] != ONE_RECORD:
                    self._reasons[f"batch of events failed: {line['errorCode']}: {line.get('errorMessage')}"] += 1
            else:
                self._records.append(line)

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        found = [(entry["LastModified"], entry["Key"]) for page in pages for entry in page.get("Contents", [])]
        return (key for _, key in sorted(found))


def _hours(prefix: str) -> list[str]:
    now = datetime.now(UTC)
    return [f"{prefix}{moment:%Y/%m/%d/%H}/" for moment in (now - timedelta(hours=1), now)]
