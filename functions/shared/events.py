"""The check of an event: the stream transformation answers what passes it, and the API's intake takes nothing else."""

from typing import Any

import msgspec

from contracts.events import MAX_HISTORY


class RecordError(ValueError):
    """The record can never get recommendations. `reason` is a word to count by, and holds nothing of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Browsed(msgspec.Struct):
    """An entry of `browse_history`. Extra keys are not checked, and stay in the record."""

    product_code: str | int
    quantity: str | int | float | None = None
    in_shopping_cart: bool = False


class Event(msgspec.Struct):
    """The keys of an event that are checked; see `contracts.events`. Extra keys stay in the record."""

    session_id: str
    browse_history: list[Browsed]
    customer_number: int | str | None = None


_events = msgspec.json.Decoder(Event)
_objects = msgspec.json.Decoder(dict[str, Any])


def decode(data: bytes) -> tuple[Event, dict[str, Any]]:
    """Returns the checked keys of an event, and all of its values. Raises `RecordError`."""
    try:
        event = _events.decode(data)
        if len(event.browse_history) > MAX_HISTORY:
            raise RecordError("history_too_long")
        # Every value is decoded: what only skips over values does not look whether they are UTF-8, and one bad byte
        # would spoil the call for the whole batch.
        return event, _objects.decode(data)
    except msgspec.ValidationError:
        raise RecordError("wrong_shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RecordError("not_json") from None
