"""Visits generated from a published version's catalogue, and the way to put them on the stream."""

import csv
import io
import json
import random
from collections.abc import Sequence
from typing import Any

from contracts import artifacts
from contracts.events import (
    CUSTOMER,
    HISTORY,
    IN_CART,
    ITEMS,
    POSITION,
    PRODUCT,
    QUANTITY,
    RECOMMENDATION_ID,
    SESSION,
    TYPE,
    EventType,
)
from operations.put_records import put_records

UNKNOWN_CUSTOMER = 999_999_999


def visits(s3: Any, bucket: str, version: str, n: int, seed: int) -> list[dict[str, Any]]:
    """Generates `n` visits with customers and items of the version; one in ten is of an unknown customer."""
    users = _ids(s3, bucket, f"{version}/{artifacts.USER_CATALOG}")
    items = _ids(s3, bucket, f"{version}/{artifacts.ITEM_CATALOG}")
    dice = random.Random(seed)  # noqa: S311  (a made-up visitor, not a secret)
    return [
        {
            SESSION: f"acceptance-{seed}-{number}",
            CUSTOMER: UNKNOWN_CUSTOMER if dice.random() < 0.1 else dice.choice(users),
            HISTORY: [
                {PRODUCT: item, QUANTITY: "1", IN_CART: dice.random() < 0.3}
                for item in dice.sample(items, dice.randint(1, min(4, len(items))))
            ],
        }
        for number in range(n)
    ]


def bought(customer: str, item: str, answer: str) -> dict[str, Any]:
    """Returns a customer's purchase of an item, which an answer, the one of this id, had brought to them."""
    event = {SESSION: "acceptance-purchase", TYPE: EventType.PURCHASE.value, CUSTOMER: customer}
    return event | {RECOMMENDATION_ID: answer, ITEMS: [{PRODUCT: item, POSITION: 1, QUANTITY: 1}]}


def _ids(s3: Any, bucket: str, key: str) -> list[str]:
    text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return [row["id"] for row in csv.DictReader(io.StringIO(text))]


def put(kinesis: Any, stream: str, events: Sequence[dict[str, Any]]) -> list[str]:
    """Puts events on the stream and returns their sequence numbers. Raises `StreamBusyError` if it takes no more."""
    records = [{"Data": json.dumps(event).encode(), "PartitionKey": event[SESSION]} for event in events]
    return put_records(kinesis, stream, records)
