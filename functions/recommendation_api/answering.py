"""Writes the answers of the API's lists as the contract has them, and reads the filter of a request."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events import Strategy
from contracts.rules import Where, texts
from functions.shared.serving.recommend import answer_item
from functions.shared.serving.requests import storable
from functions.shared.serving.rules import RulesInForce
from functions.shared.serving.selection import Selection

NO_VALUE = ""
"""Stands for a value that the store cannot hold, so that no item matches it."""


def filter_of(asked: Mapping[str, Any]) -> Where:
    """Returns attribute → values, of a body's object, or of a query's `attribute:value`s."""
    given = asked.get("filter", {})
    if isinstance(given, list):
        pairs: dict[str, list[str]] = {}
        for pair in given:
            name, _, value = pair.partition(":")
            pairs.setdefault(name, []).append(value)
        given = pairs
    return {
        name if storable(name) else NO_VALUE: frozenset(text if storable(text) else NO_VALUE for text in texts(value))
        for name, value in given.items()
    }


@dataclass(frozen=True)
class Answering:
    """The parts that an answer is written from beside its items."""

    version: str
    labels: Sequence[str]
    """The attributes that are shown; the others are for filters and rules."""
    rules: RulesInForce
    asked: Mapping[str, Any]
    problem: str | None = None
    """The reason why a later file of rules is not in force."""

    def of_selection(self, strategy: str, selection: Selection) -> dict[str, Any]:
        items = [answer_item(item, with_attributes=True) for item in selection.items]
        return self.of(strategy if items else Strategy.NOTHING, items, sorted(selection.left_out_by))

    def of(self, strategy: str, items: Sequence[Mapping[str, Any]], left_out_by: Sequence[str]) -> dict[str, Any]:
        """`items` as `recommend` gives them, with all of their attributes and with the rules that moved them."""
        answer: dict[str, Any] = {
            "recommendation_id": uuid.uuid4().hex,
            "model_version": self.version,
            "strategy": str(strategy),
            "items": [self._item(item) for item in items],
        }
        if self.asked.get("explain"):
            answer["explain"] = self._explanation(items, left_out_by)
        return answer

    def _item(self, item: Mapping[str, Any]) -> dict[str, Any]:
        attributes = item["attributes"]
        shown = {label: attributes[label] for label in self.labels if label in attributes}
        rules = {"rules": item["rules"]} if self.asked.get("explain") else {}
        return {"id": item["id"], "score": item["score"], "attributes": shown, **rules}

    def _explanation(self, items: Sequence[Mapping[str, Any]], left_out_by: Sequence[str]) -> dict[str, Any]:
        moved = {name for item in items for name in item["rules"]}
        applied = moved | set(left_out_by) | {rule.name for rule in self.rules.exclusions}
        if self.asked.get("customer") not in (None, ""):
            applied |= {rule.name for rule in self.rules.not_again}
        diversity = self.asked.get("diversity")
        return {
            "rules_version": self.rules.version,
            **({"problem": self.problem} if self.problem else {}),
            "diversity": self.rules.diversity if diversity is None else diversity,
            "rules": [rule.name for rule in self.rules.rules.rules if rule.name in applied],
        }
