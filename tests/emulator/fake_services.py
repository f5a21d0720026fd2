"""Kinesis, Lambda, S3 and their roles in memory, to be broken at will: for tests of what may not be lost."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import EndpointConnectionError

SHARDS = ("shard-0", "shard-1")


def _sequence_number(shard: str, position: int) -> str:
    """Returns a sequence number in Kinesis' form that no other shard gives."""
    return f"{position}{SHARDS.index(shard)}"


def _position(sequence_number: str) -> int:
    return int(sequence_number[:-1])


class Services:
    """Stands for MiniStack, its roles and clients. `broken` names what refuses, `function` how the function behaves."""

    region, account_id = "us-east-1", "111122223333"
    arn = "role"

    class exceptions:
        class ExpiredIteratorException(Exception): ...

        class ResourceNotFoundException(Exception): ...

    def __init__(self) -> None:
        self.shards: dict[str, list[bytes]] = {shard: [] for shard in SHARDS}
        self.objects: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.function = "ok"

    def role(self, *_: object, **__: object) -> "Services":
        return self

    def credentials(self) -> None: ...

    def client(self, service: str, config: object = None) -> "Services":
        return self

    def fail_if_broken(self, service: str) -> None:
        if service in self.broken:
            raise EndpointConnectionError(endpoint_url=f"https://{service}")

    def describe_stream(self, **_: str) -> dict[str, Any]:
        return {"StreamDescription": {"StreamStatus": "ACTIVE"}}

    def get_paginator(self, _: str) -> "Services":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        self.fail_if_broken("kinesis")
        return [{"Shards": [{"ShardId": shard} for shard in SHARDS]}]

    def get_shard_iterator(self, ShardId: str, ShardIteratorType: str, **start: Any) -> dict[str, str]:
        after = _position(start["StartingSequenceNumber"]) + 1 if ShardIteratorType == "AFTER_SEQUENCE_NUMBER" else 0
        return {"ShardIterator": f"{ShardId}:{after}"}

    def get_records(self, ShardIterator: str, Limit: int, **_: str) -> dict[str, Any]:
        self.fail_if_broken("kinesis")
        shard, position = ShardIterator.split(":")
        first = int(position)
        found = self.shards[shard][first : first + min(Limit, 3)]
        arrival = datetime.fromtimestamp(1_700_000_000, UTC)
        records = [
            {
                "Data": data,
                "ApproximateArrivalTimestamp": arrival,
                "SequenceNumber": _sequence_number(shard, first + n),
                "PartitionKey": "k",
            }
            for n, data in enumerate(found)
        ]
        behind = len(self.shards[shard]) - first - len(found)
        return {
            "Records": records,
            "NextShardIterator": f"{shard}:{first + len(found)}",
            "MillisBehindLatest": behind,
        }

    def get_bucket_location(self, **_: object) -> None: ...

    def list_objects_v2(self, **_: object) -> None: ...

    def list_multipart_uploads(self, **_: object) -> None: ...

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        if "errors" in self.broken and Key.startswith("errors/"):
            self.fail_if_broken("errors")
        self.fail_if_broken("s3")
        self.objects[Key] = Body
