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


class Strategy(StrEnum):
    """What a recommendation rests on."""

    PERSONALIZED = "personalized"
    """A known customer, or the features of an unknown one."""
    SESSION = "session"
    """An unknown customer's known items of this session."""
    POPULAR = "popular"
    """Nothing that the model knows."""
