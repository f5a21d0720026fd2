"""Unpacks aggregated records of the Kinesis Producer Library (KPL), which packs several records into one.

The format is KPL's aggregation-format.md: four magic bytes, a protobuf message, the MD5 of the message. Firehose
unpacks such records before it calls a function; an event source mapping does not (Kinesis developer guide, "Consumer
de-aggregation"). The message has two kinds of fields, so it is read here in a few lines: the official library,
`aws-kinesis-agg`, would add protobuf's runtime to a function that needs nothing else of it. The tests pack with it.
"""

import hashlib
from collections.abc import Iterator

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16

_RECORDS, _DATA = 3, 3
"""Field numbers: `AggregatedRecord.records` and `Record.data`."""

_VARINT, _LENGTH_DELIMITED = 0, 2
_MAX_SHIFT = 63


def unpack(data: bytes) -> list[bytes] | None:
    """Returns the data of the packed records, in their order; None where `data` is no aggregated record.

    Damaged data that begins like an aggregated record gives None too: the caller then reads it as a plain record.
    """
    message = data[len(MAGIC) : -_DIGEST_BYTES]
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _DIGEST_BYTES:
        return None
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-_DIGEST_BYTES:]:
        return None
    try:
        records = [content for field, content in _fields(message) if field == _RECORDS]
        return [_data(record) for record in records]
    except (ValueError, IndexError):
        return None


def packed_id(sequence_number: str, place: int) -> str:
    """Returns the id of the event in this place (from 0) of a Kinesis record: `<number>` for the first, then
    `<number>:<place>`, where `place` is Firehose's subsequence number."""
    return f"{sequence_number}:{place}" if place else sequence_number


def _data(record: bytes) -> bytes:
    found = [content for field, content in _fields(record) if field == _DATA]
    if not found:
        raise ValueError("a packed record without data")
    return found[-1]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields number and content of each field that holds bytes; fields that hold numbers (the keys' indexes) are
    skipped."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            continue
        if kind != _LENGTH_DELIMITED or at + size > len(message):
            raise ValueError(f"expected a number or bytes that are there whole, found field {tag >> 3} of kind {kind}")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise ValueError("a number of more than 64 bits")
