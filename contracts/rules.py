"""The merchandiser's rules, `rules/rules.json` in the bucket of ML artifacts: how the lists of all answers are changed.

`operations rules put` checks and writes the file; the stream and the API apply it (functions/shared/serving/rules.py).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contracts.document_reader import DocumentReader
from contracts.events import MAX_ID_CHARACTERS

RULES_FOLDER = "rules"
RULES_FILE = f"{RULES_FOLDER}/rules.json"
"""The rules in force. A copy of each file that was put lies in `RULES_VERSIONS`."""
RULES_VERSIONS = f"{RULES_FOLDER}/versions/"
RULES_VERSION = "version"
"""The metadata of the rules' object (S3's header `x-amz-meta-version`): the name of the version that was put."""

MAX_BYTES = 256 * 1024
MAX_RULES = 100
MAX_ITEMS = 1_000
"""The most items of one rule, and of all rules that pin."""
MAX_PINS = 100
MAX_VALUES = 50
"""The most values of one attribute that a rule or a filter names."""
MAX_ATTRIBUTES = 5
"""The most attributes of a rule's `where`, or of a filter."""
MAX_POSITION = 100
MAX_DAYS = 3_650
"""The most days of a rule that leaves out what was bought."""
MAX_TEXT = 512


class RulesError(ValueError):
    """The rules cannot be used; the text lists every mistake, a line each."""


class Action(StrEnum):
    EXCLUDE = "exclude"
    """These items are in no list."""
    PIN = "pin"
    """These items are in every list, from `position` on, where they are in stock and not excluded for the customer."""
    BOOST = "boost"
    """These items go up in the lists that they are candidates of."""
    BURY = "bury"
    """These items go down."""
    AT_MOST = "at_most"
    """A list has no more than `count` items of the same value of `attribute`."""
    NOT_AGAIN = "not_again"
    """Items that a customer has bought within `days` days are in none of that customer's lists."""


Where = Mapping[str, frozenset[str]]
"""Attribute → the values, as text, of which an item has one; all of the attributes count."""


@dataclass(frozen=True)
class Rule:
    """One rule; which fields count depends on its action."""

    name: str
    action: Action
    items: tuple[str, ...] = ()
    where: Where = field(default_factory=dict)
    weight: float = 0.0
    """The share, in boost and bury, of the distance between a list's best and last candidate: 1 moves the last beside
    the best."""
    position: int = 1
    """The place, in pin, of the first of `items`, from 1; the others follow."""
    attribute: str = ""
    count: int = 0
    days: int = 0

    def concerns(self, id_: str, attributes: Mapping[str, Any] | None) -> bool:
        """Returns True if the item is one that the rule names."""
        return id_ in self.items or (bool(self.where) and matches(self.where, attributes))


@dataclass(frozen=True)
class Rules:
    """All rules in force, in the order of the file."""

    rules: tuple[Rule, ...] = ()
    diversity: float = 0.0
    """From 0 (by relevance alone) to 1 (as different from each other as possible), where a request names none."""


def texts(value: Any) -> list[str]:
    """Returns an attribute's value, or each of its list, as the text that rules and filters compare with."""
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    if value is None:
        return []
    return [value if isinstance(value, str) else json.dumps(value)]


def matches(where: Where, attributes: Mapping[str, Any] | None) -> bool:
    return all(not values.isdisjoint(texts((attributes or {}).get(name))) for name, values in where.items())


def read_rules(text: str | bytes, source: str = "rules.json") -> Rules:
    """Reads the rules' JSON. Raises `RulesError` with every mistake."""
    if len(text) > MAX_BYTES:
        raise RulesError(f"{source}: expected at most {MAX_BYTES:,} bytes, found {len(text):,}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RulesError(f"{source}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RulesError(f"{source}: expected an object with rules, found {type(document).__name__}")
    reader = _RulesReader(source, {})
    rules = reader.rules(document)
    if reader.mistakes:
        raise RulesError("\n".join(reader.mistakes))
    return rules


_KEYS = {
    Action.EXCLUDE: {"items", "where"},
    Action.PIN: {"items", "position"},
    Action.BOOST: {"items", "where", "weight"},
    Action.BURY: {"items", "where", "weight"},
    Action.AT_MOST: {"attribute", "count"},
    Action.NOT_AGAIN: {"days"},
}


class _RulesReader(DocumentReader):
    def rules(self, document: Mapping[str, Any]) -> Rules:
        self.unknown_keys((), document, {"rules", "diversity"})
        listed = document.get("rules", [])
        if not isinstance(listed, list) or len(listed) > MAX_RULES:
            self.mistake(("rules",), f"a list of at most {MAX_RULES} rules", _size(listed))
            listed = []
        rules = tuple(rule for number, each in enumerate(listed) for rule in self.rule((f"rules[{number}]",), each))
        names = [rule.name for rule in rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.mistake(("rules",), "each name once", name)
        if (pins := sum(len(rule.items) for rule in rules if rule.action is Action.PIN)) > MAX_PINS:
            self.mistake(("rules",), f"at most {MAX_PINS} pinned items in all", pins)
        return Rules(rules, self.share(("diversity",), document.get("diversity", 0.0)))

    def rule(self, where: tuple[str, ...], rule: Any) -> Iterator[Rule]:
        if not isinstance(rule, Mapping):
            self.mistake(where, "an object", rule)
            return
        action = rule.get("action")
        if not isinstance(action, str) or action not in list(Action):
            self.mistake((*where, "action"), "exclude, pin, boost, bury, at_most or not_again", action)
            return
        keys = _KEYS[Action(action)]
        self.unknown_keys(where, rule, {"name", "action", *keys})
        read: dict[str, Any] = {"name": self.short_text((*where, "name"), rule), "action": Action(action)}
        if "where" in keys and ("items" in rule) == ("where" in rule):
            self.mistake(where, "either items or where", "both" if "items" in rule else None)
        if "items" in keys and ("items" in rule or "where" not in keys):
            read["items"] = self.texts((*where, "items"), rule.get("items"), MAX_ITEMS)
        if "where" in rule and "where" in keys:
            read["where"] = self.where((*where, "where"), rule["where"])
        if "weight" in keys:
            read["weight"] = self.share((*where, "weight"), rule.get("weight"))
        if "position" in keys:
            read["position"] = self.integer((*where, "position"), rule.get("position", 1), 1, MAX_POSITION)
        if "attribute" in keys:
            read["attribute"] = self.short_text((*where, "attribute"), rule)
            read["count"] = self.integer((*where, "count"), rule.get("count"), 1, MAX_POSITION)
        if "days" in keys:
            read["days"] = self.integer((*where, "days"), rule.get("days"), 1, MAX_DAYS)
        yield Rule(**read)

    def where(self, place: tuple[str, ...], where: Any) -> Where:
        if not isinstance(where, Mapping) or not 1 <= len(where) <= MAX_ATTRIBUTES:
            self.mistake(place, f"an object of 1 to {MAX_ATTRIBUTES} attributes", _size(where))
            return {}
        found: dict[str, frozenset[str]] = {}
        for name, value in where.items():
            listed = value if isinstance(value, list) else [value]
            plain = all(isinstance(each, str | int | float | bool) and _is_text(texts(each)[0]) for each in listed)
            if not plain or not 1 <= len(listed) <= MAX_VALUES or not _is_text(name):
                self.mistake((*place, name), f"a value, or a list of 1 to {MAX_VALUES}", _size(value))
            else:
                found[name] = frozenset(text for each in listed for text in texts(each))
        return found

    def texts(self, place: tuple[str, ...], value: Any, most: int) -> tuple[str, ...]:
        if isinstance(value, list) and 1 <= len(value) <= most and all(map(_is_id, value)):
            return tuple(dict.fromkeys(value))
        self.mistake(place, f"a list of 1 to {most:,} items' ids, as text", _size(value))
        return ()

    def short_text(self, place: tuple[str, ...], table: Mapping[str, Any]) -> str:
        value = table.get(place[-1])
        if isinstance(value, str) and value.strip() and _is_text(value):
            return value
        self.mistake(place, f"a text of 1 to {MAX_TEXT} characters", _size(value))
        return ""


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_ID_CHARACTERS and _is_text(value, MAX_ID_CHARACTERS)


def _is_text(value: str, most: int = MAX_TEXT) -> bool:
    """A text that PostgreSQL's JSON can hold."""
    return len(value) <= most and "\0" not in value and value == value.encode(errors="ignore").decode()


def _size(value: Any) -> Any:
    """A value as messages show it; of long ones the size."""
    if isinstance(value, list | Mapping):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return value if value is None or len(str(value)) <= MAX_TEXT else f"a text of {len(str(value))} characters"
