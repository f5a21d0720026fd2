"""Records are split into as few batches as a service's limits allow."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from contracts.batches import split


@given(st.lists(st.integers(0, 50)), st.integers(1, 60), st.integers(1, 5))
def test_a_split_keeps_order_and_limits_and_makes_no_batch_too_many(sizes: list[int], most: int, count: int) -> None:
    batches = list(split(range(len(sizes)), sizes.__getitem__, most, count))
    assert list(itertools.chain(*batches)) == list(range(len(sizes)))
    totals = [sum(sizes[item] for item in batch) for batch in batches]
    assert all(len(batch) <= count for batch in batches)
    assert all(total <= most or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    for batch, total, following in zip(batches, totals, batches[1:], strict=False):
        assert len(batch) == count or total + sizes[following[0]] > most, "the next item had room"
