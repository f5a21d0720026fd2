"""The check of an event: the stream transformation takes what passes it, and the API's intake takes nothing else."""

from typing import Annotated, Any

import msgspec

from contracts.events import MAX_DEPTH, MAX_HISTORY, RECOMMENDED, TYPE, EventType


class RecordError(ValueError):
    """The record can never be processed. `reason` is a word to count by, and holds nothing of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Browsed(msgspec.Struct):
    """An entry of `browse_history`. Extra keys are not checked, and stay in the record."""

    product_code: str | int
    quantity: str | int | float | None = None
    in_shopping_cart: bool = False


class ActedItem(msgspec.Struct):
    """An entry of `items`."""

    product_code: str | int
    position: Annotated[int, msgspec.Meta(ge=1)] | None = None
    quantity: str | int | float | None = None
    rating: int | float | None = None


ActedItems = Annotated[list[ActedItem], msgspec.Meta(min_length=1, max_length=MAX_HISTORY)]


class Visit(msgspec.Struct):
    """The keys that are checked of an event without a type; see `contracts.events`. Extra keys stay in the record."""

    session_id: str
    browse_history: list[Browsed]
    customer_number: int | str | None = None


class TypedVisit(Visit):
    """The keys that are checked of an event of the type `browse` or `cart`."""

    items: ActedItems | None = None
    recommendation_id: str | None = None


class Act(msgspec.Struct):
    """The keys that are checked of an event of another type."""

    session_id: str
    items: ActedItems
    customer_number: int | str | None = None
    recommendation_id: str | None = None


_visits = msgspec.json.Decoder(Visit)
_typed_visits = msgspec.json.Decoder(TypedVisit)
_acts = msgspec.json.Decoder(Act)
_objects = msgspec.json.Decoder(dict[str, Any])


def decode(data: bytes) -> tuple[EventType, Visit | Act, dict[str, Any]]:
    """Returns an event's type, its checked keys, and all of its values. Raises `RecordError`."""
    try:
        # Every value is decoded: what only skips over values does not look whether they are UTF-8, and one bad byte
        # would spoil the call for the whole batch.
        values = _objects.decode(data)
        # Few events have as many brackets as that, and only they are walked through.
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deeper(values, MAX_DEPTH):
            raise RecordError("not_json")
        event_type = _type(values)
        return event_type, _checked(data, event_type, TYPE in values), values
    except msgspec.ValidationError:
        raise RecordError("wrong_shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RecordError("not_json") from None


def _is_deeper(values: Any, levels: int) -> bool:
    """Returns True if there are more than so many levels of objects and lists; no recursion, which would end itself."""
    level = [values]
    for _ in range(levels):
        children = (each for parent in level for each in (parent.values() if isinstance(parent, dict) else parent))
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _type(values: dict[str, Any]) -> EventType:
    try:
        return EventType(values.get(TYPE, EventType.BROWSE))
    except ValueError:
        raise RecordError("wrong_type") from None


def _checked(data: bytes, event_type: EventType, is_typed: bool) -> Visit | Act:
    if event_type not in RECOMMENDED:
        act = _acts.decode(data)
        if event_type is EventType.RATING and any(item.rating is None for item in act.items):
            raise RecordError("wrong_shape")
        return act
    visit = (_typed_visits if is_typed else _visits).decode(data)
    if len(visit.browse_history) > MAX_HISTORY:
        raise RecordError("history_too_long")
    return visit
