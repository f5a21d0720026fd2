"""Checks events as they come from the stream, one by one, and makes records of them."""

from typing import Any

import msgspec

from contracts.events import (
    CUSTOMER,
    EVENT_ID,
    HISTORY,
    NOTED,
    PRODUCER_EVENT_ID,
    RECOMMENDED,
    SESSION,
    TYPE,
    EventType,
    original,
)
from functions.shared.events import Act, Visit, decode
from functions.stream_transformation.inference import Response

_raw_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode

_NO_FEATURES = frozenset({SESSION, HISTORY})


class Record:
    """A valid event: its request to inference, if it has one, and its line."""

    def __init__(self, data: bytes, sequence_number: str) -> None:
        """Raises `RecordError`. The id of a replayed event is in its first line; any other's is its sequence number."""
        data, replayed_id = original(data)
        self.event_id = replayed_id or sequence_number
        type_, event, values = decode(data)
        self._raw = _raw_objects.decode(data)
        self.is_recommended = type_ in RECOMMENDED
        """True where the line has recommendations."""
        self._request = _request(type_, event, values)

    @property
    def has_request(self) -> bool:
        """True where inference has something to recommend, or to note."""
        return self._request is not None

    def request(self, id_: str) -> bytes:
        """Returns the request to inference as JSON. It was decoded and encoded again, so that every JSON reader accepts
        it."""
        assert self._request is not None, "only asked of an event that has a request"
        return b'{"id":' + _encode(id_) + b"," + self._request[1:]

    def line(self, answer: Response | None) -> bytes:
        """Returns the event's record, a line of JSON: its own bytes, and the answer if there is one."""
        # What the producer calls its event is kept; to deduplicate by it would let any producer have others' dropped.
        brought = {PRODUCER_EVENT_ID: self._raw[EVENT_ID]} if EVENT_ID in self._raw else {}
        record: dict[str, Any] = {**self._raw, **brought, EVENT_ID: self.event_id}
        if answer is not None and self.is_recommended:
            record |= _recommended(answer)
        # Line ends inside JSON are white space between values: within text they are escaped.
        return _encode(record).replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def _request(type_: EventType, event: Visit | Act, values: dict[str, Any]) -> bytes | None:
    if isinstance(event, Act):
        if type_ not in NOTED or event.customer_number is None:
            return None
        return _encode({TYPE: type_, "user": {CUSTOMER: event.customer_number}, "items": event.items})
    user = {key: value for key, value in values.items() if key not in _NO_FEATURES and _is_plain(value)}
    return _encode({"user": user, "items": event.browse_history})


def _recommended(answer: Response) -> dict[str, Any]:
    return {
        "recommended_items": answer.recommended_items,
        "similar_items": answer.similar_items,
        "model_version": answer.model_version,
        "strategy": answer.strategy,
    }


def _is_plain(value: Any) -> bool:
    """Returns True for text, numbers and lists of them, the types that a feature may have."""
    if isinstance(value, list):
        return all(isinstance(element, str | int | float) for element in value)
    return isinstance(value, str | int | float | None)
