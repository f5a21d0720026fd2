"""Writes the batches that an event source mapping gives up to its failure destination, a bucket.

Lambda can send them to a queue or a topic too, but only a bucket keeps the records themselves (Lambda developer guide,
"Retain discarded batch records").
"""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.clock import Clock
from emulator.errors import LocalRunError
from emulator.event_source.kinesis_event import Batch, event_record
from emulator.event_source.mapping_settings import MappingSettings
from emulator.ministack import Role


def find_destination(role: Role, settings: MappingSettings) -> None:
    """Lists the bucket in the function's role, as Lambda does. Raises `LocalRunError` if the role may not."""
    if (arn := settings.failure_destination) is None:
        return
    try:
        role.client("s3").list_objects_v2(Bucket=arn.rsplit(":", 1)[-1], MaxKeys=1)
    except ClientError as error:
        raise LocalRunError(f"role {role.arn} does not find its failure destination {arn}: {error}") from error


def send_failure(
    role: Role,
    settings: MappingSettings,
    shard_id: str,
    batch: Batch,
    condition: str,
    clock: Clock,
) -> str | None:
    """Writes a batch that is given up, in the function's role. Returns the reason if the batch is lost."""
    arn = settings.failure_destination
    now = datetime.fromtimestamp(clock.time(), UTC)
    record = _record(settings, shard_id, batch, condition, now)
    lost = f"{len(batch.records)} records of {shard_id} are lost ({condition})"
    if arn is None:
        return f"{lost}: the event source has no failure destination"
    record["payload"] = {"Records": [event_record(item, settings) for item in batch.records]}
    key = f"aws/lambda/{settings.uuid}/{shard_id}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    try:
        role.client("s3").put_object(Bucket=arn.rsplit(":", 1)[-1], Key=key, Body=json.dumps(record).encode())
    except (ClientError, BotoCoreError, LocalRunError) as error:
        return f"{lost}: {arn} refused: {error}"
    return None


def _record(settings: MappingSettings, shard_id: str, batch: Batch, condition: str, now: datetime) -> dict[str, Any]:
    first, last = batch.records[0], batch.records[-1]
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": settings.function_arn,
            "condition": condition,
            "approximateInvokeCount": batch.invocations,
        },
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _iso(now),
        "KinesisBatchInfo": {
            "shardId": shard_id,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": _iso(datetime.fromtimestamp(first.arrival_ms / 1000, UTC)),
            "approximateArrivalOfLastRecord": _iso(datetime.fromtimestamp(last.arrival_ms / 1000, UTC)),
            "batchSize": len(batch.records),
            "streamArn": settings.stream_arn,
        },
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
