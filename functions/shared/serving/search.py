"""Makes the lists of a batch: searches for candidates, applies the rules, and searches again where a list is short."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contracts.rules import Where
from functions.shared.serving.asked import Asked, Found
from functions.shared.serving.rules import RulesInForce, jsonpath
from functions.shared.serving.selection import Chosen, Selection, select
from functions.shared.serving.store import Store

CANDIDATES = 50
"""The best items that a list is chosen from, where rules or diversity change their order."""


@dataclass(frozen=True)
class Wanted:
    """A list that is asked for. Without a vector (dim,) it is of popular items."""

    vector: Any
    hidden: tuple[str, ...]
    """The items that the list must not hold, beside those that are excluded for the customer or by a rule."""
    customer: str | None
    where: Where = field(default_factory=dict)
    """The filter: attribute → values of which an item has one."""
    diversity: float | None = None
    """From 0 to 1; `None` takes the rules' own."""


def lists(
    store: Store, wanted: Sequence[Wanted], limit: int, rules: RulesInForce, with_attributes: bool = False
) -> list[Selection]:
    """Returns a list for each that is wanted, in order.

    It takes a statement for the nearest items and one for the popular ones, and as many again for each further filter,
    and each time that a rule (at most so many of a value) has left a list short: at most `limit` times.
    """
    found: list[Selection] = [Selection()] * len(wanted)
    for where in _different([one.where for one in wanted]):
        numbers = [number for number, one in enumerate(wanted) if one.where == where]
        group = _Group(store, [wanted[number] for number in numbers], limit, rules, with_attributes)
        for number, selection in zip(numbers, group.run(), strict=True):
            found[number] = selection
    return found


def _different(filters: Sequence[Where]) -> list[Where]:
    different: list[Where] = []
    for where in filters:
        if where not in different:
            different.append(where)
    return different


class _Group:
    """Lists with the same filter."""

    def __init__(
        self, store: Store, wanted: Sequence[Wanted], limit: int, rules: RulesInForce, with_attributes: bool
    ) -> None:
        self._store, self._wanted, self._limit, self._rules = store, wanted, limit, rules
        self._diversities = [rules.diversity if one.diversity is None else one.diversity for one in wanted]
        chooses = rules.reorders or any(self._diversities)
        self._rows = max(limit, CANDIDATES) if chooses else limit
        self._is_plain = not (chooses or rules.narrows)
        where = wanted[0].where
        self._asked = Asked(
            attributes=with_attributes or rules.reorders,
            vectors=any(self._diversities),
            hidden=rules.hidden,
            pinned=tuple(id_ for _, id_, _ in rules.pins),
            wanted=jsonpath(where) if where else None,
        )

    def run(self) -> list[Selection]:
        pools: list[dict[str, Found]] = [{} for _ in self._wanted]
        selections = [Selection()] * len(self._wanted)
        refused = [self._rules.refused] * len(self._wanted)
        short = list(range(len(self._wanted)))
        while short:
            again = []
            for number, candidates in zip(short, self._search(short, refused), strict=True):
                before = len(pools[number])
                pools[number] |= {found.id: found for found in candidates if found.id not in pools[number]}
                chosen = selections[number] = self._select(number, list(pools[number].values()))
                is_short = len(chosen.items) < self._limit and chosen.left_out_by
                if is_short and len(candidates) >= self._rows and len(pools[number]) > before:
                    refused[number] = self._rules.refused_with(chosen.full)
                    again.append(number)
            short = again
        return selections

    def _select(self, number: int, pool: list[Found]) -> Selection:
        if self._is_plain or not all(math.isfinite(found.score) for found in pool):
            return Selection([Chosen(found) for found in pool[: self._limit]])
        return select(pool, self._limit, self._rules, self._diversities[number], self._store.unpack)

    def _search(self, numbers: Sequence[int], refused: Sequence[str | None]) -> list[list[Found]]:
        near = [number for number in numbers if self._wanted[number].vector is not None]
        other = [number for number in numbers if self._wanted[number].vector is None]
        vectors = np.array([self._wanted[number].vector for number in near], dtype=np.float32)
        nearest = iter(self._store.nearest(vectors, *self._given(near, refused)))
        popular = iter(self._store.popular(*self._given(other, refused)))
        return [next(popular if self._wanted[number].vector is None else nearest) for number in numbers]

    def _given(
        self, numbers: Sequence[int], refused: Sequence[str | None]
    ) -> tuple[list[tuple[str, ...]], int, list[str | None], Asked]:
        wanted = [self._wanted[number] for number in numbers]
        asked = self._asked.of([refused[number] for number in numbers])
        return [one.hidden for one in wanted], self._rows, [one.customer for one in wanted], asked
