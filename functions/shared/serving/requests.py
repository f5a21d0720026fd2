"""Checks the requests of a batch one by one, so that a bad request does not fail the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.events import CUSTOMER, IN_CART, MAX_HISTORY, MAX_ID_CHARACTERS, NOTED, PRODUCT, TYPE, EventType
from contracts.rules import Where
from functions.shared.environment import MAX_RECOMMENDATIONS

LAST_BROWSED = 3
"""Without a cart, an answer has similar items of one item: the latest of these last browsed ones that is known."""


class CallError(ValueError):
    """A call that has no requests to answer one by one."""


class RequestError(ValueError):
    """One request that cannot be answered; the text says why, without its values, which may be personal."""


@dataclass(frozen=True)
class Request:
    """One customer's request. Item lists hold each id once, and only text that the database can take."""

    id: str
    user: Mapping[str, Any]
    customer: str | None
    cart: tuple[str, ...]
    browsed: tuple[str, ...]
    """Items that are not in the cart, the last browsed first."""
    exclude: tuple[str, ...] = ()
    """Items that the caller does not want to see."""
    wants_similar: bool = True
    wants_attributes: bool = False
    """True: the items of the answer come with their attributes."""
    where: Where = field(default_factory=dict)
    """The filter: attribute → values of which an item has one."""
    diversity: float | None = None
    """From 0 to 1; `None` takes the rules' own."""

    @property
    def session(self) -> tuple[str, ...]:
        """The cart first, then the last browsed first."""
        return self.cart + self.browsed

    @property
    def similar_to(self) -> tuple[str, ...]:
        """The items that may be answered with similar ones."""
        return (self.cart or self.browsed[:LAST_BROWSED]) if self.wants_similar else ()


@dataclass(frozen=True)
class Act:
    """A purchase or a rating, to be noted. Customer and items are text that the database can take."""

    type: EventType
    customer: str
    items: tuple[str, ...]


def read_call(event: Any) -> tuple[int, list[Any]]:
    """The limit and the raw requests. Raises `CallError`."""
    if not isinstance(event, Mapping):
        raise CallError(f"expected an object with limit and requests, found {type(event).__name__}")
    limit, requests = event.get("limit"), event.get("requests")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_RECOMMENDATIONS:
        raise CallError(f"limit: expected a whole number from 1 to {MAX_RECOMMENDATIONS}, found {limit!r}")
    if not isinstance(requests, list):
        raise CallError(f"requests: expected a list, found {type(requests).__name__}")
    return limit, requests


def request_id(raw: Any) -> str | None:
    """Returns the id for the answer to a request, valid or not; `None` if there is no id that JSON in UTF-8 can
    hold."""
    id_ = raw.get("id") if isinstance(raw, Mapping) else None
    return id_ if isinstance(id_, str) and _is_utf8(id_) else None


def is_act(raw: Any) -> bool:
    """Returns True for a request that notes something, and asks for no recommendations."""
    return isinstance(raw, Mapping) and raw.get(TYPE) is not None


def read_act(raw: Any) -> list[Act]:
    """Returns the act; nothing where it is nobody's. Raises `RequestError`."""
    _, user, entries = _parts(raw)
    if raw[TYPE] not in NOTED:
        raise RequestError(f"{TYPE}: expected {' or '.join(NOTED)}, found something else")
    customer = _customer(user.get(CUSTOMER))
    items = tuple(dict.fromkeys(item for item, _ in entries if storable(item)))
    return [] if customer is None else [Act(EventType(raw[TYPE]), customer, items)]


def read_request(raw: Any, where: Where | None = None, diversity: float | None = None) -> Request:
    """Reads a request of a call; the filter and the diversity are the API's alone. Raises `RequestError`."""
    id_, user, entries = _parts(raw)
    cart: dict[str, None] = {}
    browsed: dict[str, None] = {}
    for item, entry in reversed(entries):
        if storable(item):
            (cart if entry.get(IN_CART) is True else browsed)[item] = None
    exclude = raw.get("exclude", ())
    if not isinstance(exclude, list | tuple):
        raise RequestError(f"exclude: expected a list, found {type(exclude).__name__}")
    if len(exclude) > MAX_HISTORY:
        raise RequestError(f"exclude: expected at most {MAX_HISTORY}, found {len(exclude)}")
    return Request(
        id=id_,
        user=user,
        customer=_customer(user.get(CUSTOMER)),
        cart=tuple(cart),
        browsed=tuple(item for item in browsed if item not in cart),
        exclude=tuple(item for item in (_id(value, "exclude") for value in exclude) if storable(item)),
        wants_similar=raw.get("similar") is not False,
        wants_attributes=raw.get("attributes") is True,
        where=where or {},
        diversity=diversity,
    )


def _parts(raw: Any) -> tuple[str, Mapping[str, Any], list[tuple[str, Mapping[str, Any]]]]:
    """Returns the id, the user, and each item with its entry. Raises `RequestError`."""
    id_ = request_id(raw)
    if id_ is None:
        raise RequestError("expected an object with an id of text")
    user, items = raw.get("user"), raw.get("items")
    if not isinstance(user, Mapping):
        raise RequestError(f"user: expected an object, found {type(user).__name__}")
    if not isinstance(items, list):
        raise RequestError(f"items: expected a list, found {type(items).__name__}")
    if len(items) > MAX_HISTORY:
        raise RequestError(f"items: expected at most {MAX_HISTORY}, found {len(items)}")
    entries: list[tuple[str, Mapping[str, Any]]] = []
    for entry in items:
        if not isinstance(entry, Mapping):
            raise RequestError(f"items: expected objects with a {PRODUCT}, found {type(entry).__name__}")
        entries.append((_id(entry.get(PRODUCT), f"items.{PRODUCT}"), entry))
    return id_, user, entries


def _customer(value: Any) -> str | None:
    if value is None or value == "":
        return None
    customer = _id(value, f"user.{CUSTOMER}")
    return customer if storable(customer) else None


def _id(value: Any, name: str) -> str:
    """Ids come as text or as whole numbers, which JSON may write with a point: 103.0 (JSON Schema, "integer")."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RequestError(f"{name}: expected text or a whole number, found {type(value).__name__}")


def storable(text: str) -> bool:
    """Returns True if the vector store can hold the id: it is not too long, and has no NUL and no half surrogate pair.

    Other ids count as unknown.
    """
    return len(text) <= MAX_ID_CHARACTERS and "\0" not in text and _is_utf8(text)


def _is_utf8(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
