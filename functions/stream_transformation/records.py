"""Checks events as they come from the stream, one by one, and makes recommendation records of them."""

from typing import Any

import msgspec

from contracts.events import EVENT_ID, HISTORY, PRODUCER_EVENT_ID, SESSION, original
from functions.shared.events import decode
from functions.stream_transformation.inference import Response

_raw_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode

_NO_FEATURES = frozenset({SESSION, HISTORY})


class Record:
    """A valid event: its request to inference, and its line with recommendations."""

    def __init__(self, data: bytes, sequence_number: str) -> None:
        """Raises `RecordError`. The id of a replayed event is in its first line; any other's is its sequence number."""
        data, replayed_id = original(data)
        self.event_id = replayed_id or sequence_number
        event, values = decode(data)
        self._raw = _raw_objects.decode(data)
        self._request = _encode(
            {
                "user": {key: value for key, value in values.items() if key not in _NO_FEATURES and _is_plain(value)},
                "items": event.browse_history,
            }
        )

    def request(self, id_: str) -> bytes:
        """Returns the request to inference as JSON. It was decoded and encoded again, so that every JSON reader accepts
        it."""
        return b'{"id":' + _encode(id_) + b"," + self._request[1:]

    def line(self, answer: Response) -> bytes:
        """Returns the recommendation record, a line of JSON: the event's own bytes, and the answer."""
        # What the producer calls its event is kept; to deduplicate by it would let any producer have others' dropped.
        brought = {PRODUCER_EVENT_ID: self._raw[EVENT_ID]} if EVENT_ID in self._raw else {}
        record: dict[str, Any] = {
            **self._raw,
            **brought,
            "recommended_items": answer.recommended_items,
            "similar_items": answer.similar_items,
            "model_version": answer.model_version,
            EVENT_ID: self.event_id,
            "strategy": answer.strategy,
        }
        # Line ends inside JSON are white space between values: within text they are escaped.
        return _encode(record).replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def _is_plain(value: Any) -> bool:
    """Returns True for text, numbers and lists of them, the types that a feature may have."""
    if isinstance(value, list):
        return all(isinstance(element, str | int | float) for element in value)
    return isinstance(value, str | int | float | None)
