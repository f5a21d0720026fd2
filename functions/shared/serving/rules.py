"""The rules in force as the serving code applies them: what a search leaves out, and what a selection moves."""

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from contracts.rules import Action, Rule, Rules, Where

Value = tuple[str, str]
"""An attribute and one of its values, as text."""


@dataclass(frozen=True)
class RulesInForce:
    """The rules, ready to be applied. `version` names the file that they come from."""

    rules: Rules = field(default_factory=Rules)
    version: str = ""

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The ids that a rule excludes."""
        return frozenset(id_ for rule in self._of(Action.EXCLUDE) for id_ in rule.items)

    @cached_property
    def refused(self) -> str | None:
        """The attributes that a rule excludes items by, as a jsonpath predicate; `None` without such rules."""
        return any_of(jsonpath(rule.where) for rule in self._of(Action.EXCLUDE) if rule.where)

    @cached_property
    def pins(self) -> Sequence[tuple[int, str, Rule]]:
        """(position from 1, id, rule) of each pinned item; of an item that is pinned twice the first."""
        found: dict[str, tuple[int, str, Rule]] = {}
        for rule in self._of(Action.PIN):
            for number, id_ in enumerate(rule.items):
                found.setdefault(id_, (rule.position + number, id_, rule))
        return tuple(found.values())

    @cached_property
    def moves(self) -> Sequence[tuple[Rule, float]]:
        """The rules that boost, with their weight, and those that bury, with the negative of it."""
        return tuple(
            (rule, rule.weight if rule.action is Action.BOOST else -rule.weight)
            for rule in self.rules.rules
            if rule.action in (Action.BOOST, Action.BURY)
        )

    @cached_property
    def caps(self) -> Sequence[Rule]:
        """The rules that let a list have only so many items of one value."""
        return tuple(self._of(Action.AT_MOST))

    @cached_property
    def exclusions(self) -> Sequence[Rule]:
        return tuple(self._of(Action.EXCLUDE))

    @cached_property
    def not_again(self) -> Sequence[Rule]:
        """The rules that leave out what a customer has bought."""
        return tuple(self._of(Action.NOT_AGAIN))

    @property
    def bought_days(self) -> int:
        """The days for which what a customer has bought is left out; 0 without such a rule. The longest counts."""
        return max((rule.days for rule in self.not_again), default=0)

    @property
    def diversity(self) -> float:
        return self.rules.diversity

    @property
    def reorders(self) -> bool:
        """True: a list is chosen from more candidates than it has items."""
        return bool(self.moves or self.caps)

    @property
    def narrows(self) -> bool:
        """True: the search itself leaves something out, or looks for pinned items."""
        return bool(self.hidden or self.refused or self.pins)

    def refused_with(self, full: Collection[Value]) -> str | None:
        """`refused`, and the values of which a list has as many as a rule lets it have."""
        values = (jsonpath({name: frozenset({value})}) for name, value in sorted(full))
        return any_of([*([self.refused] if self.refused else []), *values])

    def _of(self, action: Action) -> Iterable[Rule]:
        return (rule for rule in self.rules.rules if rule.action is action)


NO_RULES = RulesInForce()


def jsonpath(where: Where) -> str:
    """Returns the predicate that is true of an item's attributes where `contracts.rules.matches` is.

    In PostgreSQL's lax mode a comparison with a list is one with each of its values, and equality with a constant is
    what a GIN index of `jsonb_path_ops` finds (PostgreSQL: "8.14.4. jsonb Indexing").
    """
    return " && ".join(f"({' || '.join(_comparisons(name, values))})" for name, values in where.items())


def _comparisons(name: str, values: Iterable[str]) -> Iterable[str]:
    return (f"$.{_quoted(name)} == {literal}" for value in sorted(values) for literal in _literals(value))


def any_of(predicates: Iterable[str]) -> str | None:
    return " || ".join(f"({predicate})" for predicate in predicates) or None


def _literals(text: str) -> list[str]:
    """The constants that a value's text may stand for: the text, and the number or truth that is written so."""
    if text in ("true", "false"):
        return [_quoted(text), text]
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        return [_quoted(text)]
    is_number = isinstance(number, int | float) and math.isfinite(number) and json.dumps(number) == text
    return [_quoted(text), text] if is_number else [_quoted(text)]


def _quoted(text: str) -> str:
    """A text as jsonpath has it, which takes JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)
