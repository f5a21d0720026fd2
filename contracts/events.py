"""What an event and a recommendation record are called by: keys of the JSON on the stream and of its answers."""

from enum import StrEnum

SESSION = "session_id"
CUSTOMER = "customer_number"
HISTORY = "browse_history"
PRODUCT = "product_code"
QUANTITY = "quantity"
IN_CART = "in_shopping_cart"

EVENT_ID = "event_id"
"""The Kinesis sequence number, to deduplicate by; an event that brings its own (a replayed one) keeps it."""

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
