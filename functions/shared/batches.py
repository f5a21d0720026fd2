"""Cuts what a call to AWS takes in batches: so many entries, and so many bytes together."""

from collections.abc import Iterable, Iterator


def batches(sized: Iterable[tuple[int, int]], most: int, most_bytes: int) -> Iterator[list[int]]:
    """Yields lists of indices, in order, of (index, bytes) pairs. One that alone is over `most_bytes` goes alone."""
    batch: list[int] = []
    total = 0
    for index, size in sized:
        if batch and (len(batch) == most or total + size > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += size
    if batch:
        yield batch
