"""Puts events that could not be processed back on the stream, after a fix: `python -m operations replay`.

Reads what a delivery stream keeps under `processing-failed` (Firehose's error documents), or what an event source
mapping keeps in its failure bucket (Lambda's invocation records). Each event goes back with the identity that it had or
that its document gives it, so that a consumer that deduplicates by `event_id` sees no double, however often it comes:

* one that brings an `event_id` was replayed before: it keeps it;
* an invocation record names the sequence number, which is the event's id;
* Firehose's documents do not, so the id is a digest of what they do say: the arrival in milliseconds, and the data.

What is no JSON object can carry no identity and would fail again: it is counted and left where it is.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contracts.events import EVENT_ID, SESSION

# PutRecords of Kinesis' API reference: records and bytes (keys included) of one request.
MAX_RECORDS = 500
MAX_BYTES = 5 * 1024 * 1024
MAX_TRIES = 8
RUN_NOTE = "replay.json"
_GZIP = b"\x1f\x8b"
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""JSON can write half a character; no request can carry it as a key."""


class ReplayError(Exception):
    """Something that the operator can act on: the text says what, expected, found and what to do."""


@dataclass(frozen=True)
class FailedEvent:
    """An event with its identity, ready for the stream; `code` says why it failed."""

    body: dict[str, Any]
    partition_key: str
    code: str

    @property
    def record(self) -> dict[str, Any]:
        """The entry of a PutRecords request."""
        return {"Data": json.dumps(self.body).encode(), "PartitionKey": self.partition_key}


@dataclass
class Replayed:
    """What a replay did: files read, events put by the code of their failure, data that is no event."""

    files: int = 0
    events: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0


def replay(
    s3: Any,
    kinesis: Any,
    bucket: str,
    prefix: str,
    stream: str,
    codes: Sequence[str] = (),
    sleep: Callable[[float], object] = time.sleep,
) -> Replayed:
    """Replays all documents under the prefix, or those of some error codes, onto the stream (a name).

    Raises `ReplayError` where the stream does not take them all; what it took does no harm when replayed again.
    """
    done = Replayed()
    events = (event for event in _events(s3, bucket, prefix, done) if not codes or event.code in codes)
    for batch in _batches(events):
        _put(kinesis, stream, [event.record for event in batch], sleep)
        done.events.update(event.code for event in batch)
    return done


def read_documents(content: bytes) -> Iterator[FailedEvent | None]:
    """The events of one file, compressed or not; None for data that is no JSON object. Raises `ValueError`."""
    text = gzip.decompress(content) if content.startswith(_GZIP) else content
    for line in text.splitlines():
        if not line.strip():
            continue
        document = json.loads(line)
        if "rawData" in document:
            data = base64.b64decode(document["rawData"])
            yield _event(data, _digest(document["arrivalTimestamp"], data), document["errorCode"])
        else:
            code = document["requestContext"]["condition"]
            for record in document["payload"]["Records"]:
                kinesis = record["kinesis"]
                yield _event(base64.b64decode(kinesis["data"]), kinesis["sequenceNumber"], code)


def _event(data: bytes, identity: str, code: str) -> FailedEvent | None:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):  # no JSON, or nested deeper than anybody reads
        return None
    if not isinstance(body, dict):
        return None
    brought, session = body.get(EVENT_ID), body.get(SESSION)
    is_key = isinstance(session, str) and 0 < len(session) <= 256 and not _SURROGATE.search(session)
    return FailedEvent(
        body | {EVENT_ID: brought if isinstance(brought, str) and brought else identity},
        str(session) if is_key else identity,
        code,
    )


def _digest(arrival_ms: int, data: bytes) -> str:
    """Two events share it only if they came in the same millisecond with the same bytes: to a shop, one event."""
    return "replayed-" + hashlib.sha256(f"{arrival_ms}\n".encode() + data).hexdigest()[:40]


def _events(s3: Any, bucket: str, prefix: str, done: Replayed) -> Iterator[FailedEvent]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            try:
                events = list(read_documents(content))
            except (ValueError, KeyError, TypeError, OSError) as error:
                raise ReplayError(
                    f"s3://{bucket}/{item['Key']}: expected error documents of Firehose or of a Lambda event source, "
                    f"found something else ({error!r}): give the prefix where they lie"
                ) from error
            done.files += 1
            done.unreadable += events.count(None)
            yield from (event for event in events if event is not None)


def _batches(events: Iterable[FailedEvent]) -> Iterator[list[FailedEvent]]:
    batch: list[FailedEvent] = []
    size = 0
    for event in events:
        record = event.record
        bytes_of = len(record["Data"]) + len(record["PartitionKey"].encode())
        if batch and (len(batch) == MAX_RECORDS or size + bytes_of > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += bytes_of
    if batch:
        yield batch


def _put(kinesis: Any, stream: str, records: list[dict[str, Any]], sleep: Callable[[float], object]) -> None:
    """PutRecords may take some records and refuse others: those are put again."""
    reason = ""
    for attempt in range(MAX_TRIES):
        answer = kinesis.put_records(StreamName=stream, Records=records)
        refused = [
            (record, result)
            for record, result in zip(records, answer["Records"], strict=True)
            if result.get("ErrorCode")
        ]
        if not refused:
            return
        records = [record for record, _ in refused]
        reason = f"{refused[0][1]['ErrorCode']}: {refused[0][1].get('ErrorMessage', '')}"
        sleep(min(0.1 * 2.0**attempt, 5.0))
    raise ReplayError(
        f"stream {stream} refused {len(records)} records {MAX_TRIES} times ({reason}): run the replay again later"
    )


@contextmanager
def noted_run(folder: Path, environment: Mapping[str, str], bucket: str, stream: str) -> Iterator[None]:
    """While a local run is up, its folder says for `--run` where and as whom to replay; for its owner only."""
    note = {"environment": dict(environment), "bucket": bucket, "stream": stream}
    path = folder / RUN_NOTE
    path.touch(mode=0o600)
    path.write_text(json.dumps(note))
    try:
        yield
    finally:
        path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. On AWS its usual variables say where and as whom (`AWS_PROFILE`, `AWS_REGION`)."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.run:
            _use_run(chosen)
        if not chosen.bucket or not chosen.stream:
            raise ReplayError("replay: expected --bucket and --stream, or --run with the folder of a local run")
        done = replay(
            boto3.client("s3"), boto3.client("kinesis"), chosen.bucket, chosen.prefix, chosen.stream, chosen.code
        )
    except (ReplayError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    by_code = ", ".join(f"{count} {code}" for code, count in sorted(done.events.items())) or "none"
    print(f"{done.files} files read; {done.events.total()} events put back on {chosen.stream} ({by_code})")
    if done.unreadable:
        print(f"{done.unreadable} are no JSON objects: they would fail again and were left where they are")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, help="folder of a local run that is still up; bucket and stream are its")
    parser.add_argument("--bucket", help="stack output recommendations_bucket, or an event source's failure bucket")
    parser.add_argument("--stream", help="stack output event_stream_name")
    parser.add_argument("--prefix", default="processing-failed/", help="default: %(default)s")
    parser.add_argument("--code", action="append", default=[], help="only failures of this error code; repeatable")
    return parser


def _use_run(chosen: argparse.Namespace) -> None:
    path = chosen.run / RUN_NOTE
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ReplayError(f"{path}: expected the note of a local run that is up, found none ({error})") from error
    os.environ.update(note["environment"])
    chosen.bucket, chosen.stream = chosen.bucket or note["bucket"], chosen.stream or note["stream"]
