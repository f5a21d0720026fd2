"""Events for the stream, generated from the shop's customers and products, or read from a file."""

import json
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.dataset import Dataset
from contracts.events import CUSTOMER, HISTORY, IN_CART, PRODUCT, QUANTITY, SESSION, TYPE, EventType, partition_key
from emulator.errors import LocalRunError
from local.shop import Customer, Shop
from operations.events import EventFileError, read_checked
from operations.put_records import StreamBusyError, put_records

Event = dict[str, Any]

UNKNOWN_CUSTOMER, UNKNOWN_PRODUCT = 999_999_999, "NO_SUCH_PRODUCT"


def make_events(shop: Shop, dataset: Dataset, n: int, seed: int = 1) -> list[Event]:
    """Generates `n` visits: most are of customers who look at items that they may like, some are unusual, as in every
    shop."""
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
    session = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    history = [
        {
            PRODUCT: item,
            # Sites send numbers and texts.
            QUANTITY: dice.choice([1, "1", "2", 3]),
            IN_CART: dice.random() < 0.3,
        }
        for item in browsed
    ]
    type_ = EventType.CART if any(entry[IN_CART] for entry in history) else EventType.BROWSE
    return {
        SESSION: session,
        # Producers of earlier releases send no type.
        **({TYPE: type_.value} if dice.random() < 0.7 else {}),
        CUSTOMER: customer.id if known else UNKNOWN_CUSTOMER,
        **features,
        HISTORY: history,
    }


def read_events(path: Path) -> list[Event]:
    """Reads the events of a file. Raises `LocalRunError` for what the stream would refuse."""
    try:
        return read_checked(path)
    except EventFileError as error:
        raise LocalRunError(str(error)) from error


def put_events(kinesis: Any, stream_name: str, events: Sequence[Event]) -> list[str]:
    """Puts events on the stream, in order, and returns their sequence numbers. Raises `LocalRunError` if it
    takes no more."""
    records = [
        {"Data": json.dumps(event).encode(), "PartitionKey": partition_key(event.get(SESSION), otherwise=str(index))}
        for index, event in enumerate(events)
    ]
    try:
        return put_records(kinesis, stream_name, records)
    except StreamBusyError as error:
        raise LocalRunError(str(error)) from error


def describe(event: Event) -> str:
    """Returns an event as one line, for an error message."""
    text = json.dumps(event)
    return text if len(text) <= 200 else f"{text[:197]}…"
