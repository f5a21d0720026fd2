"""Splits records into batches that a service takes in one call."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def split(
    items: Iterable[Item], size: Callable[[Item], int], max_bytes: float, max_items: float = math.inf
) -> Iterator[list[Item]]:
    """Yields consecutive lists of at most `max_bytes` (the sum of their `size`) and `max_items`, as few as possible.

    An item over `max_bytes` is alone in its list.
    """
    batch: list[Item] = []
    total = 0
    for item in items:
        bytes_of = size(item)
        if batch and (len(batch) >= max_items or total + bytes_of > max_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += bytes_of
    if batch:
        yield batch
