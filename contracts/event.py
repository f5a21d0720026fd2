"""What identifies an event: on the stream, in a recommendation record, and again when it is replayed."""

from collections.abc import Mapping
from typing import Any

SESSION_ID = "session_id"
"""The partition key of an event's record."""

EVENT_ID = "event_id"
"""The key of a recommendation record by which its consumers deduplicate; a replayed event brings it along."""

MAX_EVENT_ID = 128
"""Characters; Kinesis' sequence numbers have at most as many."""


def event_id(event: Mapping[str, Any], sequence_number: str) -> str:
    """The identity of an event: the one that it brings, if it was replayed, else its record's sequence number.

    A record that is put again gets a new sequence number; only what travels within the event stays the same.
    """
    brought = event.get(EVENT_ID)
    return brought if isinstance(brought, str) and 0 < len(brought) <= MAX_EVENT_ID else sequence_number
