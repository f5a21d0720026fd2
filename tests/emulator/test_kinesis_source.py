"""The reader of a Kinesis stream, without services."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.delivery.kinesis_source import KinesisSource


class FakeKinesis:
    """Two shards with a record each read; reading the second fails as often as said."""

    class exceptions:
        ExpiredIteratorException = KeyError
        ResourceNotFoundException = KeyError

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def client(self, service: str) -> "FakeKinesis":
        return self

    def get_paginator(self, operation: str) -> "FakeKinesis":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"Shards": [{"ShardId": "first"}, {"ShardId": "second"}]}]

    def get_shard_iterator(self, ShardId: str, **_: Any) -> dict[str, str]:
        return {"ShardIterator": ShardId}

    def get_records(self, ShardIterator: str, **_: Any) -> dict[str, Any]:
        if ShardIterator == "second" and self.failures > 0:
            self.failures -= 1
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "GetRecords")
        arrival = datetime.fromtimestamp(0, UTC)
        item = {"Data": b"x", "ApproximateArrivalTimestamp": arrival, "SequenceNumber": "1", "PartitionKey": "k"}
        records = [] if ShardIterator.endswith("end") else [item]
        return {"Records": records, "NextShardIterator": f"{ShardIterator}-end", "MillisBehindLatest": 0}


def test_a_shard_that_cannot_be_read_costs_no_record_of_another() -> None:
    source = KinesisSource("arn", FakeKinesis(failures=2))  # type: ignore[arg-type]
    assert [record.shard_id for record in source.read()] == ["first"]
    assert not source.is_caught_up, "the second shard may hold more"
    with pytest.raises(ClientError):
        source.read()
    assert not source.is_caught_up
    assert [record.shard_id for record in source.read()] == ["second"]
    assert source.is_caught_up
