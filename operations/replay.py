"""Puts events that could not be processed back on the stream, after a fix: `python -m operations replay`.

Reads what lies under `processing-failed/` (Firehose's error documents, and what the transformation itself keeps), or
what an event source mapping gave up (Lambda's invocation records, under `aws/lambda/`). An event goes back as the bytes
that its producer sent, behind a line that says which event it is (`contracts.events.replayed`):

* an event that was replayed before has that line already, and keeps its id;
* the transformation's and Lambda's documents have the sequence number, which is the event's id;
* Firehose's documents have none, so the id is a digest of the arrival in milliseconds and the data.

The ids of events that went back are kept under `replayed/`, so that the next run leaves them out. Events that would
fail again are left in place and reported: those that the stream transformation's own check refuses, and those that were
replayed and failed again without an outage (`--again` sends these too). If the stream does not take an event, it is
reported, and the others go on.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contracts.batches import split
from contracts.events import FAILED_PREFIX, MAX_PUT_BYTES, MAX_PUT_RECORDS, MAX_RECORD_BYTES
from operations import run_note
from operations.failed_events import TOO_LARGE, UNREADABLE, FailedEvent, read_documents
from operations.put_records import StreamBusyError, put_records
from operations.run_note import NoRunError

REPLAYED_PREFIX = "replayed/"

REFUSED, AGAIN = "refused_by_the_stream", "failed_again"
"""Reasons to leave an event in place, in addition to those of `FailedEvent.would_fail`."""

OBJECT_GONE = frozenset({"NoSuchKey", "InvalidObjectState"})
"""Codes of GetObject for one object alone: it expired meanwhile, or is in an archive (S3 API reference, GetObject)."""


class ReplayError(Exception):
    """The replay cannot go on; the text says what was expected, what was found, and what to do."""


@dataclass
class Replayed:
    """Counts of a replay: files read, events put back by error code, events left in place by reason."""

    files: int = 0
    events: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    before: int = 0
    """Events that an earlier run put back already."""
    problems: list[str] = field(default_factory=list)
    """Messages about files that could not be read and events that could not be sent."""


def replay(
    s3: Any,
    kinesis: Any,
    bucket: str,
    prefix: str,
    stream: str,
    codes: Sequence[str] = (),
    again: bool = False,
) -> Replayed:
    """Replays all documents under the prefix, or those of some error codes, onto the stream (a name).

    Raises `StreamBusyError` if the stream takes no more. The events that it took are noted, and the next run continues.
    """
    done = Replayed()
    noted = set(_keys(s3, bucket, REPLAYED_PREFIX + prefix))
    for key in _keys(s3, bucket, prefix):
        if key.startswith(REPLAYED_PREFIX):
            continue
        place = f"s3://{bucket}/{key}"
        try:
            events = list(read_documents(_read(s3, bucket, key)))
        except UNREADABLE as error:
            done.problems.append(
                f"{place}: expected error documents of Firehose or of a Lambda event source, found something else "
                f"({error!r})"
            )
            continue
        except ClientError as error:
            if error.response["Error"]["Code"] not in OBJECT_GONE:
                raise
            done.problems.append(f"{place}: {error}")
            continue
        done.files += 1
        note = REPLAYED_PREFIX + key
        went: set[str] = set(json.loads(_read(s3, bucket, note))) if note in noted else set()
        asked = [event for event in events if not codes or event.code in codes]
        done.before += sum(event.event_id in went for event in asked)
        sendable = _choose([event for event in asked if event.event_id not in went], again, place, done)
        n_before = len(went)
        try:
            for batch in split(sendable, lambda event: event.size, MAX_PUT_BYTES, MAX_PUT_RECORDS):
                _put(kinesis, stream, batch, went, place, done)
        finally:
            if len(went) > n_before:
                s3.put_object(Bucket=bucket, Key=note, Body=json.dumps(sorted(went)).encode())
    return done


def _choose(events: Sequence[FailedEvent], again: bool, place: str, done: Replayed) -> list[FailedEvent]:
    """Returns the events that may succeed now, and counts the others by the reason to leave them."""
    chosen = []
    for event in events:
        reason = event.would_fail()
        if reason is None and event.was_replayed and not event.is_an_outages and not again:
            reason = AGAIN
        if reason is None:
            chosen.append(event)
            continue
        done.left[reason] += 1
        if reason == TOO_LARGE:
            size = event.size
            done.problems.append(f"{place}: event {event.event_id}: {size} bytes, Kinesis takes {MAX_RECORD_BYTES}")
    return chosen


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def _read(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _put(kinesis: Any, stream: str, events: Sequence[FailedEvent], went: set[str], place: str, done: Replayed) -> None:
    """Puts events on the stream. A request that it never takes is halved, down to the record that causes it."""
    waiting = dict(enumerate(events))

    def note(taken: Sequence[int]) -> None:
        gone = [waiting.pop(index) for index in taken]
        went.update(event.event_id for event in gone)
        done.events.update(event.code for event in gone)

    try:
        put_records(kinesis, stream, [event.record for event in events], note)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "InvalidArgumentException"):
            raise
        rest = list(waiting.values())
        if len(rest) == 1:
            done.left[REFUSED] += 1
            done.problems.append(f"{place}: event {rest[0].event_id}: {error}")
            return
        middle = len(rest) // 2
        for half in (rest[:middle], rest[middle:]):
            _put(kinesis, stream, half, went, place, done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. On AWS, its usual variables name the account and region (`AWS_PROFILE`, `AWS_REGION`)."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.run:
            _use_run(chosen)
        if not chosen.bucket or not chosen.stream:
            raise ReplayError("replay: expected --bucket and --stream, or --run with the folder of a local run")
        # A session of its own: the process's default one may hold another account's credentials already.
        session = boto3.Session()
        s3, kinesis = session.client("s3"), session.client("kinesis")
        done = replay(s3, kinesis, chosen.bucket, chosen.prefix, chosen.stream, chosen.code, chosen.again)
    except (ReplayError, StreamBusyError, NoRunError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{done.files} files read; {done.events.total()} events put back on {chosen.stream} ({_told(done.events)})")
    if done.before:
        print(f"{done.before} were put back by an earlier run")
    if done.left:
        print(f"{done.left.total()} are left where they are, for they would fail again ({_told(done.left)})")
    if done.left[AGAIN]:
        print(f"{AGAIN}: replayed before, and failed by themselves: see the functions' logs; --again sends them too")
    for problem in done.problems:
        print(problem, file=sys.stderr)
    return 1 if done.problems else 0


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counted.items())) or "none"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, help="folder of a local run that is still up; bucket and stream are its")
    parser.add_argument("--bucket", help="stack output recommendations_bucket, or an event source's failure bucket")
    parser.add_argument("--stream", help="stack output event_stream_name")
    parser.add_argument("--prefix", default=FAILED_PREFIX, help="default: %(default)s")
    parser.add_argument("--code", action="append", default=[], help="only failures of this error code; repeatable")
    parser.add_argument("--again", action="store_true", help="also what was replayed before and failed by itself again")
    return parser


def _use_run(chosen: argparse.Namespace) -> None:
    note = run_note.read(chosen.run)
    os.environ.update(note["environment"])
    chosen.bucket, chosen.stream = chosen.bucket or note["bucket"], chosen.stream or note["stream"]
