"""A search as it is asked for, and an item as it is found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from functions.shared.serving.queries import Kind

Attributes = Mapping[str, Any]


class Found(NamedTuple):
    """An item of an answer."""

    id: str
    score: float
    """Better the larger."""
    attributes: Attributes | None = None
    """`None` where they were not asked for, or the item has none."""
    vector: bytes | None = None
    """`None` where it was not asked for."""


@dataclass(frozen=True)
class Asked:
    """The columns and conditions of a search beside its queries: the same for all of them, but for `refused`."""

    attributes: bool = False
    """True: with the items' attributes."""
    vectors: bool = False
    hidden: Collection[str] = ()
    """The items that no list may hold."""
    pinned: Sequence[str] = ()
    """The items that come beside the best ones, where they may be in the list."""
    wanted: str | None = None
    """A jsonpath predicate of the attributes that is true of each item."""
    refused: Sequence[str | None] = ()
    """A jsonpath predicate for each query, which is true of no item."""

    def of(self, refused: Sequence[str | None]) -> "Asked":
        return replace(self, refused=refused)

    @property
    def kind(self) -> Kind:
        if self.wanted is not None:
            return Kind.FILTERED
        return Kind.RULED if self.hidden or self.pinned or any(self.refused) else Kind.PLAIN

    def parameters(self, count: int) -> tuple[list[Any], list[Any]]:
        """The parameters of the queries, and those behind them."""
        if self.kind is Kind.PLAIN:
            return [], []
        refused = list(self.refused) or [None] * count
        rule = [Jsonb(dict.fromkeys(self.hidden)), list(self.pinned)]
        return [refused], [*rule, self.wanted] if self.kind is Kind.FILTERED else rule


PLAIN = Asked()
