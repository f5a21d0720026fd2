"""Chooses the items of a list from its candidates: pins, boosts, at most so many of a value, and diversity."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contracts.rules import texts
from functions.shared.serving.asked import Found
from functions.shared.serving.rules import RulesInForce, Value
from functions.shared.vectors import Vectors

Numbers = npt.NDArray[np.float64]

Unpack = Callable[[Sequence[bytes]], Vectors]


@dataclass(frozen=True)
class Chosen:
    """An item of a list, and the names of the rules that moved it."""

    found: Found
    rules: tuple[str, ...] = ()


@dataclass
class Selection:
    """`items` in the order of the list; `full` are values of which it has as many as a rule lets it have."""

    items: list[Chosen] = field(default_factory=list)
    full: frozenset[Value] = frozenset()
    left_out_by: frozenset[str] = frozenset()
    """The names of the rules for which a candidate was passed over."""


def select(pool: Sequence[Found], limit: int, rules: RulesInForce, diversity: float, unpack: Unpack) -> Selection:
    """Chooses up to `limit` items of the pool, whose scores are finite.

    Relevance is the score from 0 (the pool's worst) to 1 (its best), plus what boosts add. With diversity d, the next
    item is the one with the largest (1 - d) · relevance - d · (largest cosine to an item that was chosen before):
    maximal marginal relevance (Carbonell and Goldstein, "The Use of MMR", SIGIR 1998).
    """
    return _Choice(pool, limit, rules, diversity, unpack).run()


class _Choice:
    def __init__(
        self, pool: Sequence[Found], limit: int, rules: RulesInForce, diversity: float, unpack: Unpack
    ) -> None:
        self._pool, self._limit, self._rules, self._diversity = pool, limit, rules, diversity
        self._names: list[list[str]] = [[] for _ in pool]
        self._places = self._pinned_places()
        self._most = _most(rules)
        self._values = [_values(found, self._most) for found in pool]
        self._relevance = self._relevances()
        self._nearest = np.zeros(len(pool))
        self._directions = _directions(pool, unpack) if diversity and pool else np.empty((0, 0))
        self._left_out: set[str] = set()

    def run(self) -> Selection:
        free = np.ones(len(self._pool), dtype=bool)
        places = dict(self._places)
        free[list(places.values())] = False
        # Counted first: what is pinned is there in any case.
        counts = Counter(value for number in places.values() for value in self._values[number])
        chosen: list[int] = []
        while len(chosen) < self._limit:
            number = places.pop(len(chosen) + 1, None)
            if number is None:
                number = self._next(free, counts)
            if number is None:
                break
            chosen.append(number)
            if self._diversity:
                np.maximum(self._nearest, self._directions @ self._directions[number], out=self._nearest)
        chosen += [number for _, number in sorted(places.items())][: self._limit - len(chosen)]
        full = frozenset(value for value, count in counts.items() if count >= self._most[value[0]])
        items = [Chosen(self._pool[number], tuple(self._names[number])) for number in chosen]
        return Selection(items, full, frozenset(self._left_out))

    def _next(self, free: npt.NDArray[np.bool_], counts: Counter[Value]) -> int | None:
        """The best item that is free and of no value that the list is full of."""
        worth = (1 - self._diversity) * self._relevance - self._diversity * self._nearest
        worth[~free] = -np.inf
        while free.any():
            number = int(worth.argmax())
            free[number], worth[number] = False, -np.inf
            full = [name for name, value in self._values[number] if counts[name, value] >= self._most[name]]
            if not full:
                counts.update(self._values[number])
                return number
            self._left_out.update(rule.name for rule in self._rules.caps if rule.attribute in full)
        return None

    def _pinned_places(self) -> Mapping[int, int]:
        """Position → number in the pool; two of one position follow each other."""
        numbers = {found.id: number for number, found in enumerate(self._pool)}
        places: dict[int, int] = {}
        for wanted, id_, rule in self._rules.pins:
            position = wanted
            while position in places:
                position += 1
            if id_ in numbers and position <= self._limit:
                places[position] = numbers[id_]
                self._names[numbers[id_]].append(rule.name)
        return places

    def _relevances(self) -> Numbers:
        """(len(pool),)"""
        scores = np.array([found.score for found in self._pool], dtype=np.float64)
        pinned = set(self._places.values())
        candidates = scores[[number not in pinned for number in range(len(scores))]]
        if len(candidates):
            low, high = candidates.min(), candidates.max()
            scores = (scores - low) / (high - low if high > low else 1.0)
        for rule, weight in self._rules.moves:
            for number, found in enumerate(self._pool):
                if number not in pinned and rule.concerns(found.id, found.attributes):
                    scores[number] += weight
                    self._names[number].append(rule.name)
        return scores


def _most(rules: RulesInForce) -> dict[str, int]:
    """Attribute → the most items of one of its values; the strictest rule counts."""
    most: dict[str, int] = {}
    for rule in rules.caps:
        most[rule.attribute] = min(rule.count, most.get(rule.attribute, rule.count))
    return most


def _values(found: Found, most: Mapping[str, int]) -> list[Value]:
    attributes = found.attributes or {}
    return [(name, value) for name in most for value in dict.fromkeys(texts(attributes.get(name)))]


def _directions(pool: Sequence[Found], unpack: Unpack) -> Numbers:
    """(len(pool), dim), each of length 1; an item's own vector of length 0 stays."""
    vectors = unpack([found.vector for found in pool if found.vector is not None]).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
