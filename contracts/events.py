"""Events on the stream and recommendation records on S3: keys of their JSON, limits, and the line of a replay."""

import base64
import hashlib
import re
from enum import StrEnum

SESSION = "session_id"
"""Text, required: the visit, for instance `"4f1c…"`. It is the partition key, which keeps a visit's events in order."""
CUSTOMER = "customer_number"
"""Text, whole number, null or absent: the user's key in the source, for instance 478. The customer may be unknown."""
HISTORY = "browse_history"
"""List of objects, required, 0 to `MAX_HISTORY` entries: the items looked at in this visit, the latest last."""
PRODUCT = "product_code"
"""Text or whole number, required in an entry: the item's key in the source, as `"S50_1514"`. It may be unknown."""
QUANTITY = "quantity"
"""Number or the text of one, for instance `"1"`: how many of the item. The recommendations do not depend on it."""
IN_CART = "in_shopping_cart"
"""Boolean, absent means false: the item lies in the cart. What is in the cart is not recommended."""


class EventType(StrEnum):
    """The kind of action that an event tells of: its `type`."""

    BROWSE = "browse"
    """Something was looked at. Also an event without a type, as all were in earlier releases."""
    CART = "cart"
    """The cart changed; `browse_history` says what lies in it now."""
    IMPRESSION = "impression"
    """Items were shown."""
    CLICK = "click"
    """An item was chosen among those that were shown."""
    PURCHASE = "purchase"
    """Items were bought."""
    RATING = "rating"
    """Items were rated."""


TYPE = "type"
"""Text, absent means `browse`: one of `EventType`."""
RECOMMENDED = frozenset({EventType.BROWSE, EventType.CART})
"""The types that recommendations are made for. They need `browse_history`, all others `items`."""
NOTED = (EventType.PURCHASE, EventType.RATING)
"""The types after which the items are not recommended to the customer again (`[serving] exclude` in dataset.toml)."""
ITEMS = "items"
"""List of objects, 1 to `MAX_HISTORY` entries: the items that were shown, chosen, bought or rated. An entry has a
`product_code`, and may have `quantity`, `position` and `rating`."""
POSITION = "position"
"""Whole number from 1, in an entry of `items`: the item's place in the answer that the event follows."""
RATING = "rating"
"""Number, in an entry of `items`; required in an event of the type `rating`."""
RECOMMENDATION_ID = "recommendation_id"
"""Text or absent: the answer that the event follows. It is the `recommendation_id` of an answer of the API, and the
`event_id` of a recommendation record."""

EVENT_ID = "event_id"
"""Text, in a recommendation record: the Kinesis sequence number (56 digits, with `:n` in a packed record). Deduplicate
by it; a replayed event keeps its first one."""

PRODUCER_EVENT_ID = "producer_event_id"
"""The `event_id` that the event itself brought, in a recommendation record. Nothing is deduplicated by it."""

FAILED_PREFIX = "processing-failed/"
"""The prefix of events that could not be processed, in the recommendations bucket: Firehose's and the function's."""

MAX_RECORD_BYTES = 1024 * 1024
"""The most bytes of a record's data and partition key together (Kinesis API reference, PutRecordsRequestEntry). A
stream takes more only where somebody raised its own limit, `MaxRecordSizeInKiB`, which is 1 MiB by default."""
MAX_PUT_RECORDS, MAX_PUT_BYTES = 500, 5 * 1024 * 1024
"""The most records and bytes, keys included, of one call that puts records on the stream (Kinesis API reference,
PutRecords)."""

MAX_PARTITION_KEY = 256
"""The most characters of a partition key (the same page)."""

# The limits of an event, for the stream transformation and for inference (docs/streaming.md). They bound the memory
# that a batch takes. Values beyond a limit are left out of the request to the model, and stay in the recommendation
# record.
MAX_HISTORY = 1000
"""The most entries of `browse_history`. An event with more is refused: no person looks at so many items in a visit."""
MAX_DEPTH = 100
"""The most levels of objects and lists within each other. An event with more is refused: decoders end at depths of
their own (Python 3.13 at 10,000; Jackson, by which Spark reads JSON, at 1,000), and one's good event fails another's
batch."""
MAX_ID_CHARACTERS = 512
"""The most characters of a product code, a customer number or a session id; a longer id counts as unknown.
(PostgreSQL's index takes 2,704 bytes, and a character of UTF-8 has four at most.)"""
MAX_TEXT_CHARACTERS = 1000
"""The most characters of a feature's value; a longer one counts as missing."""
MAX_TAGS = 100
"""The most values of a feature with several values; those after them are left out."""
MAX_TAGS_CHARACTERS = 10_000
"""The most characters of such a feature given as one text; a longer text counts as missing."""


class Strategy(StrEnum):
    """The information that a recommendation is computed from; `strategy` of a recommendation record."""

    PERSONALIZED = "personalized"
    """The customer is known, or an unknown customer brings features."""
    SESSION = "session"
    """The customer is unknown, and items of this session are known."""
    POPULAR = "popular"
    """The model knows nothing of the event: the most popular items in stock."""
    NOTHING = "nothing"
    """The list is empty: every item is out of stock or in the session."""


_REPLAYED = b"replay "
_REPLAYED_LINE = re.compile(rb"replay ([\w.:=-]{1,100})\n")
_NUMBER_BYTES = 24
"""A sequence number of Kinesis has 56 digits, fewer than 192 bits."""


def replayed(data: bytes, event_id: str) -> bytes:
    """Returns a replayed event as it goes on the stream: a line with the event's id, then its bytes unchanged.

    The id stands before the bytes, so that the JSON is not encoded again. It is not the partition key, because Firehose
    leaves that out of its error documents, and an event that fails again has to keep its id. An event is JSON and
    cannot begin like this line, so a visitor's text cannot be mistaken for it. The line takes at most 41 bytes for
    Kinesis' ids.
    """
    number, colon, place = event_id.partition(":")
    if number.isdecimal() and number.isascii() and number[0] != "0" and len(number) > _NUMBER_BYTES:
        packed = int(number).to_bytes(_NUMBER_BYTES, "big")
        number = "=" + base64.urlsafe_b64encode(packed).decode()
    return _REPLAYED + (number + colon + place).encode() + b"\n" + data


def original(data: bytes) -> tuple[bytes, str | None]:
    """Returns an event's bytes as its producer sent them, and the id from the replay's line (None: not replayed)."""
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
    """Returns the partition key of a session's events, which keeps them in order: the session id, or its SHA-256 where
    Kinesis would refuse the id. `otherwise` is used for an event without a session.
    """
    text = otherwise if session_id is None else str(session_id)
    if 0 < len(text) <= MAX_PARTITION_KEY and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
