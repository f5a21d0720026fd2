"""Events for the stream, generated from the shop's customers and products, or read from a file."""

import json
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.dataset import Dataset
from contracts.events import CUSTOMER, HISTORY, IN_CART, MAX_HISTORY, PRODUCT, QUANTITY, SESSION, partition_key
from emulator.errors import LocalRunError
from local.shop import Customer, Shop
from operations.put_records import StreamBusyError, put_records

Event = dict[str, Any]

MAX_TOLD = 10
"""The most mistakes that are shown of a file of events."""

UNKNOWN_CUSTOMER, UNKNOWN_PRODUCT = 999_999_999, "NO_SUCH_PRODUCT"


def make_events(shop: Shop, dataset: Dataset, n: int, seed: int = 1) -> list[Event]:
    """Generates `n` visits: mostly customers who look at what they may like, and some unusual visits as every shop
    has."""
    dice = random.Random(seed)  # noqa: S311  (a made-up visitor, not a secret)
    fields = {column: field for field, column in dataset.event_features.items()}
    items = sorted(shop.item_names)
    events = []
    for _ in range(n):
        customer = dice.choice(shop.customers)
        likes = list(customer.liked) or items
        browsed = dice.sample(likes, min(len(likes), dice.randint(1, 4)))
        oddity = dice.random()
        if oddity < 0.10:
            browsed = []
        elif oddity < 0.15:
            browsed.append(UNKNOWN_PRODUCT)
        events.append(_event(dice, customer, fields, browsed, known=oddity < 0.85))
    return events


def _event(
    dice: random.Random, customer: Customer, fields: dict[str, str], browsed: Sequence[str], *, known: bool
) -> Event:
    features = {fields[column]: value for column, value in customer.features.items() if column in fields}
    return {
        SESSION: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        CUSTOMER: customer.id if known else UNKNOWN_CUSTOMER,
        **features,
        HISTORY: [
            {
                PRODUCT: item,
                # Sites send numbers and texts.
                QUANTITY: dice.choice([1, "1", "2", 3]),
                IN_CART: dice.random() < 0.3,
            }
            for item in browsed
        ],
    }


def read_events(path: Path) -> list[Event]:
    """Reads one JSON event, a JSON list of events, or a JSON event on each line. Raises `LocalRunError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LocalRunError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LocalRunError(f"{path}: expected UTF-8, found something else at byte {error.start}") from error
    try:
        document = json.loads(text)
    except ValueError:
        try:
            # Not splitlines(), which also splits at U+2028 and others that JSON texts may contain.
            document = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError as error:
            raise LocalRunError(f"{path}: expected a JSON event, a list of them, or one a line: {error}") from error
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise LocalRunError(f"{path}: expected at least one event, each a JSON object")
    mistakes = [f"event {number}: {mistake}" for number, event in enumerate(events, 1) for mistake in _mistakes(event)]
    if mistakes:
        more = [f"… and {len(mistakes) - MAX_TOLD} more"] if len(mistakes) > MAX_TOLD else []
        told = "\n".join([*mistakes[:MAX_TOLD], *more])
        raise LocalRunError(f"{path}: not as docs/streaming.md describes events:\n{told}")
    return events


def _mistakes(event: Event) -> Iterator[str]:
    """Yields the reasons for which the stream transformation would refuse the event."""
    if not isinstance(event.get(SESSION), str):
        yield _expected(SESSION, "a text", event.get(SESSION))
    if isinstance(event.get(CUSTOMER), bool) or not isinstance(event.get(CUSTOMER), int | str | None):
        yield _expected(CUSTOMER, "a whole number or a text", event[CUSTOMER])
    history = event.get(HISTORY)
    if not isinstance(history, list) or len(history) > MAX_HISTORY:
        yield _expected(HISTORY, f"a list of at most {MAX_HISTORY:,} entries", history)
        return
    for place, entry in enumerate(history):
        where = f"{HISTORY}[{place}]"
        if not isinstance(entry, dict):
            yield _expected(where, "an object", entry)
            continue
        product, quantity, in_cart = entry.get(PRODUCT), entry.get(QUANTITY), entry.get(IN_CART, False)
        if isinstance(product, bool) or not isinstance(product, int | str):
            yield _expected(f"{where}.{PRODUCT}", "a text or a whole number", product)
        if isinstance(quantity, bool) or not isinstance(quantity, int | float | str | None):
            yield _expected(f"{where}.{QUANTITY}", "a number or a text", quantity)
        if not isinstance(in_cart, bool):
            yield _expected(f"{where}.{IN_CART}", "true or false", in_cart)


def _expected(key: str, what: str, found: object) -> str:
    return f"{key}: expected {what}, found {'nothing' if found is None else json.dumps(found)[:80]}"


def put_events(
    kinesis: Any, stream_name: str, events: Sequence[Event], progress: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Puts events on the stream, in order, and returns their sequence numbers. Raises `LocalRunError` if it
    takes no more."""
    records = [
        {"Data": json.dumps(event).encode(), "PartitionKey": partition_key(event.get(SESSION), otherwise=str(index))}
        for index, event in enumerate(events)
    ]
    try:
        return put_records(kinesis, stream_name, records, progress)
    except StreamBusyError as error:
        raise LocalRunError(str(error)) from error


def describe(event: Event) -> str:
    """Returns an event as one line, for an error message."""
    text = json.dumps(event)
    return text if len(text) <= 200 else f"{text[:197]}…"
