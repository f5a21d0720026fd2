"""Firehose's transformation event and its answer: every record id once, in order, and never more than 6 MB."""

import base64
import binascii
from typing import Any, NotRequired, TypedDict, final

from contracts.aggregation import packed_id
from functions.shared.limits import PAYLOAD_BYTES
from functions.stream_transformation.transform import Raw, Transformed

OK, FAILED = "Ok", "ProcessingFailed"


class KinesisMetadata(TypedDict):
    """The Kinesis record that a record of Firehose's came from."""

    sequenceNumber: str
    subsequenceNumber: str
    """The place in the Kinesis record, from "0", of a record that a producer packed with others (KPL); else empty."""


class FirehoseRecord(TypedDict):
    """A record to transform, for instance `{"recordId": "4960…000000", "data": "eyJzZ…"}`."""

    recordId: str
    data: str
    """The event's bytes in base64."""
    kinesisRecordMetadata: NotRequired[KinesisMetadata]
    """Absent if the record was put to Firehose directly."""


@final
class FirehoseEvent(TypedDict):
    """A batch to transform (Amazon Data Firehose Developer Guide, "Transform source data"; the Kinesis metadata: AWS
    Lambda Developer Guide, "Process Amazon Data Firehose records with Lambda")."""

    records: list[FirehoseRecord]


_ENVELOPE_BYTES = len('{"recordId":"","result":"ProcessingFailed","data":""},   ')


def read(event: FirehoseEvent) -> list[Raw]:
    """Returns the records of Firehose's event."""
    return [_read(record) for record in event["records"]]


def _read(record: FirehoseRecord) -> Raw:
    # Without a Kinesis source (a direct put) there is no sequence number, and the record's own id is as unique.
    source = record.get("kinesisRecordMetadata")
    sequence_number = source["sequenceNumber"] if source else record["recordId"]
    # Records that a producer packed into one, and Firehose unpacked, share its sequence number.
    place = int(source["subsequenceNumber"] or 0) if source else 0
    return Raw(record["recordId"], decode(record.get("data")), packed_id(sequence_number, place))


def decode(data: Any) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None


def answer(event: FirehoseEvent, result: Transformed) -> dict[str, Any]:
    """Returns Firehose's answer. A record that no longer fits into 6 MB is failed: Firehose keeps its raw data for a
    replay.

    Adds such records to `result.failures`.
    """
    records = event["records"]
    left = PAYLOAD_BYTES - sum(_ENVELOPE_BYTES + len(record["recordId"]) for record in records)
    answers = []
    for record in records:
        id_ = record["recordId"]
        line = result.lines.get(id_)
        data = base64.b64encode(line).decode() if line is not None else ""
        outcome = OK if line is not None else FAILED
        if len(data) > left:
            result.failures[id_] = "answer_over_6_mb"
            outcome, data = FAILED, ""
        left -= len(data)
        answers.append({"recordId": id_, "result": outcome, "data": data})
    return {"records": answers}
