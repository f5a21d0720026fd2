"""A stream that refuses records or requests: each event goes back once, and a refused one costs no other."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations import put_records
from operations.put_records import StreamBusyError
from operations.replay import replay
from tests.operations.replay_setup import Setup, document, event, sent, setup_fixture  # noqa: F401


def twenty_events() -> bytes:
    return b"".join(document(event(f"s{n:02}")) for n in range(20))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_records, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(put_records, "LONGEST_WAIT", 0.001)


class Throttled:
    """A stream that takes the first record of a request alone, `times` times; then `end` is raised, or it takes all."""

    def __init__(self, times: int, end: type[BaseException] | None = None) -> None:
        self.times, self.end = times, end
        self.taken: list[bytes] = []

    def put_records(self, StreamName: str, Records: list[Mapping[str, Any]]) -> dict[str, Any]:
        if self.times == 0 and self.end:
            raise self.end
        take = len(Records) if self.times <= 0 else 1
        self.times -= 1
        self.taken += [record["Data"] for record in Records[:take]]
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
        return {"Records": [{"SequenceNumber": "1"}] * take + [refused] * (len(Records) - take)}


@pytest.mark.parametrize("times", [0, 3, 100])
def test_records_that_a_throttled_stream_refuses_are_put_again_each_once(setup: Setup, times: int) -> None:
    setup.keep("processing-failed/a", twenty_events())
    stream = Throttled(times)
    replay(setup.aws.client("s3"), stream, setup.bucket, "processing-failed/", "events")
    assert len(set(stream.taken)) == len(stream.taken) == 20


class Choosy:
    """A stream that takes no request with a certain record in it."""

    def __init__(self, refused: bytes) -> None:
        self.refused = refused
        self.taken: list[bytes] = []

    def put_records(self, StreamName: str, Records: list[Mapping[str, Any]]) -> dict[str, Any]:
        contents = [sent(record)[0] for record in Records]
        if self.refused in contents:
            raise ClientError({"Error": {"Code": "InvalidArgumentException", "Message": "no"}}, "PutRecords")
        self.taken += contents
        return {"Records": [{"SequenceNumber": "1"}] * len(Records)}


def test_a_record_that_the_stream_refuses_costs_no_other(setup: Setup) -> None:
    setup.keep("processing-failed/a", b"".join(document(event(f"s{n}")) for n in range(10)))
    stream = Choosy(event("s6"))
    done = replay(setup.aws.client("s3"), stream, setup.bucket, "processing-failed/", "events")
    assert sorted(stream.taken) == [event(f"s{n}") for n in range(10) if n != 6]
    assert (done.events.total(), done.left) == (9, {"refused_by_the_stream": 1})


@pytest.mark.parametrize("end", [KeyboardInterrupt, StreamBusyError])
def test_a_run_that_stopped_goes_on_where_it_was(setup: Setup, end: type[BaseException]) -> None:
    setup.keep("processing-failed/a", twenty_events())
    stream = Throttled(5, end)
    call = (setup.aws.client("s3"), stream, setup.bucket, "processing-failed/", "events")
    with pytest.raises(end):
        replay(*call)
    assert len(stream.taken) == 5
    stream.end = None
    replay(*call)
    assert len(set(stream.taken)) == len(stream.taken) == 20
