"""What an event and a recommendation record are called by: keys of the JSON on the stream and of its answers."""

import base64
import hashlib
import re
from enum import StrEnum

SESSION = "session_id"
CUSTOMER = "customer_number"
HISTORY = "browse_history"
PRODUCT = "product_code"
QUANTITY = "quantity"
IN_CART = "in_shopping_cart"

EVENT_ID = "event_id"
"""In a recommendation record: the Kinesis sequence number, to deduplicate by; a replayed event keeps its first one."""

PRODUCER_EVENT_ID = "producer_event_id"
"""In a recommendation record: the `event_id` that the event itself brought. Nothing is deduplicated by it."""

FAILED_PREFIX = "processing-failed/"
"""Where events that could not be processed lie in the recommendations bucket: from Firehose, or from the function."""

MAX_RECORD_BYTES = 1024 * 1024
"""Data and partition key of a record together (Kinesis API reference, PutRecordsRequestEntry: a stream takes more only
where its own limit, `MaxRecordSizeInKiB`, says so, and that is 1 MiB unless somebody raised it)."""

MAX_PARTITION_KEY = 256
"""Characters (the same page)."""

# The limits of an event: the one home of them, for the stream transformation and for inference (docs/streaming.md).
# They keep what a batch costs in memory bounded. Whatever is left out of the request stays in the record.
MAX_HISTORY = 1000
"""Entries of `browse_history`; an event with more is refused: it is no visit of a person."""
MAX_ID_CHARACTERS = 512
"""Of a product code, a customer number, a session id. A longer one is nobody's: it counts as unknown. (PostgreSQL's
index takes 2,704 bytes, and a character of UTF-8 has four at most.)"""
MAX_TEXT_CHARACTERS = 1000
"""Of a feature's value; a longer one counts as missing."""
MAX_TAGS = 100
"""Of a feature of several values; only the first so many count."""
MAX_TAGS_CHARACTERS = 10_000
"""Of such a feature in one text; a longer one counts as missing."""


class Strategy(StrEnum):
    """What a recommendation rests on."""

    PERSONALIZED = "personalized"
    """A known customer, or the features of an unknown one."""
    SESSION = "session"
    """An unknown customer's known items of this session."""
    POPULAR = "popular"
    """Nothing that the model knows."""
    NOTHING = "nothing"
    """An empty list: no item is left, all are out of stock or in the session."""


_REPLAYED = b"replay "
_REPLAYED_LINE = re.compile(rb"replay ([\w.:=-]{1,100})\n")
_NUMBER_BYTES = 24
"""A sequence number of Kinesis has 56 digits, fewer than 192 bits."""


def replayed(data: bytes, event_id: str) -> bytes:
    """A replayed event on the stream: a line that says which event it is, then its bytes as they were.

    The id goes before the bytes, and not into them, so that nothing is encoded anew; nor into the partition key, which
    Firehose leaves out of its error documents: an event that fails again is still the same one. No event begins like
    this line, being JSON, so no visitor's text can pass for it. The line has 41 bytes at most for Kinesis' ids.
    """
    number, colon, place = event_id.partition(":")
    if number.isdecimal() and number.isascii() and number[0] != "0" and len(number) > _NUMBER_BYTES:
        packed = int(number).to_bytes(_NUMBER_BYTES, "big")
        number = "=" + base64.urlsafe_b64encode(packed).decode()
    return _REPLAYED + (number + colon + place).encode() + b"\n" + data


def original(data: bytes) -> tuple[bytes, str | None]:
    """The bytes of an event as its producer sent them, and the id that a replay gave it, where it was replayed."""
    line = _REPLAYED_LINE.match(data) if data.startswith(_REPLAYED) else None
    if line is None:
        return data, None
    number, colon, place = line[1].decode().partition(":")
    if number.startswith("="):
        try:
            number = str(int.from_bytes(base64.urlsafe_b64decode(number[1:]), "big"))
        except ValueError:
            return data, None
    return data[line.end() :], number + colon + place


def partition_key(session_id: object, otherwise: str) -> str:
    """The key that keeps a session's events in order: the session, or a digest of it where Kinesis would refuse it.

    `otherwise` is for an event without a session.
    """
    text = otherwise if session_id is None else str(session_id)
    if 0 < len(text) <= MAX_PARTITION_KEY and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
