"""A buffer with Firehose's two hints: it is due when it is large enough, or when its oldest record is old enough."""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Buffer(Generic[Item]):
    """Keeps items in the order in which they came. `max_bytes` in bytes, `max_seconds` in seconds of the caller's
    clock."""

    def __init__(self, max_bytes: float, max_seconds: float) -> None:
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.size = 0
        self._items: list[Item] = []
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, size: int, now: float) -> None:
        if not self._items:
            self._since = now
        self._items.append(item)
        self.size += size

    @property
    def is_full(self) -> bool:
        return self.size >= self.max_bytes

    def is_due(self, now: float) -> bool:
        return bool(self._items) and (self.is_full or now - self._since >= self.max_seconds)

    def take(self) -> list[Item]:
        items, self._items, self.size = self._items, [], 0
        return items
