"""Records that a stream refuses for now are put again, and a stream that takes nothing is an error."""

from collections.abc import Mapping
from typing import Any

import pytest

from operations import put_records as module
from operations.put_records import StreamBusyError, put_records


class BusyStream:
    """Takes at most `n_taken` records of a request, the last ones of it, and throttles the others."""

    def __init__(self, n_taken: int) -> None:
        self.n_taken = n_taken
        self.taken: list[Any] = []

    def put_records(self, StreamName: str, Records: list[Mapping[str, Any]]) -> dict[str, Any]:
        n_refused = max(0, len(Records) - self.n_taken)
        self.taken += [record["Data"] for record in Records[n_refused:]]
        refusals: list[dict[str, str]] = [{"ErrorCode": "ProvisionedThroughputExceededException"}] * n_refused
        return {"Records": refusals + [{"SequenceNumber": f"number-{r['Data']}"} for r in Records[n_refused:]]}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)


def test_each_record_is_taken_once_and_the_numbers_are_in_the_records_order() -> None:
    stream, told = BusyStream(n_taken=400), list[int]()
    numbers = put_records(stream, "shop", [{"Data": n, "PartitionKey": "k"} for n in range(1201)], told.extend)
    assert numbers == [f"number-{n}" for n in range(1201)]
    assert sorted(stream.taken) == sorted(told) == list(range(1201))


def test_a_stream_that_takes_nothing_is_an_error_that_names_it() -> None:
    with pytest.raises(StreamBusyError, match=r"stream shop: took no record .* 2 wait .*ProvisionedThroughput"):
        put_records(BusyStream(n_taken=0), "shop", [{"Data": n, "PartitionKey": "k"} for n in range(2)])
