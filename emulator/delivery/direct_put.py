"""The source of a delivery stream that takes direct puts (`PutRecord`, `PutRecordBatch`).

MiniStack's Firehose takes the records, checks `firehose:PutRecordBatch` by IAM, and writes each to a bucket that
belongs to the run. The delivery stream reads them there, and deletes them once they are delivered.
"""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from emulator.delivery.records import SourceRecord
from emulator.ministack import MiniStack

MAX_RECORDS = 500
"""The most records of one read."""
MAX_DELETED = 1000
"""The most keys of one call (S3 API reference, DeleteObjects)."""


class DirectPutSource:
    """Reads the records that were put onto the delivery stream `name` since it was made."""

    def __init__(self, ministack: MiniStack, name: str) -> None:
        self.stream_arn = f"arn:aws:firehose:{ministack.region}:{ministack.account_id}:deliverystream/{name}"
        self.is_caught_up = False
        self._name = name
        self._ministack = ministack
        self._bucket = f"local-run-put-{uuid.uuid4().hex}"
        self._is_made = False
        self._in_hand: set[str] = set()
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="direct-put")

    def open(self) -> None:
        """Makes the delivery stream in MiniStack. A later call makes records that were not delivered readable again."""
        self._in_hand.clear()
        if self._is_made:
            return
        self._s3.create_bucket(Bucket=self._bucket)
        self._ministack.client("firehose").create_delivery_stream(
            DeliveryStreamName=self._name,
            DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration={
                "BucketARN": f"arn:aws:s3:::{self._bucket}",
                # Never assumed: MiniStack writes by itself.
                "RoleARN": f"arn:aws:iam::{self._ministack.account_id}:role/local-run",
            },
        )
        self._is_made = True

    def read(self) -> list[SourceRecord]:
        """Returns the records put since the last read, at most `MAX_RECORDS`, the oldest second first."""
        self.is_caught_up = False
        found = self._s3.list_objects_v2(Bucket=self._bucket, MaxKeys=MAX_RECORDS + len(self._in_hand))
        new = [item for item in found.get("Contents", []) if item["Key"] not in self._in_hand]
        self.is_caught_up = not found["IsTruncated"]
        self._in_hand.update(item["Key"] for item in new)
        return list(self._readers.map(self._record, new))

    def look_everywhere(self) -> None:
        """Does nothing: direct puts have no shards."""

    def checkpoint(self, records: Iterable[SourceRecord]) -> None:
        """Deletes delivered records."""
        keys = [record.sequence_number for record in records]
        for start in range(0, len(keys), MAX_DELETED):
            some = [{"Key": key} for key in keys[start : start + MAX_DELETED]]
            self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": some, "Quiet": True})
        self._in_hand.difference_update(keys)

    @property
    def _s3(self) -> Any:
        return self._ministack.client("s3")

    def _record(self, item: dict[str, Any]) -> SourceRecord:
        body = self._s3.get_object(Bucket=self._bucket, Key=item["Key"])["Body"].read()
        arrival_ms = round(item["LastModified"].timestamp() * 1000)
        return SourceRecord(body, arrival_ms, shard_id="", sequence_number=item["Key"], partition_key="")
