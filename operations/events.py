"""Puts events on the stream through the API: `python -m operations events put`."""

import argparse
import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts import api as contract
from contracts.batches import split
from contracts.events import (
    CUSTOMER,
    HISTORY,
    IN_CART,
    ITEMS,
    POSITION,
    PRODUCT,
    QUANTITY,
    RATING,
    RECOMMENDATION_ID,
    RECOMMENDED,
    SESSION,
    TYPE,
    EventType,
)
from functions.shared.http.checks import Schema
from operations.api import ApiError, Client, add_address, address_of
from operations.run_note import NoRunError

Event = dict[str, Any]

MAX_EVENTS, MAX_BYTES = 500, 5 * 1024 * 1024
"""The most events of a request (`EventBatch` in contracts/api.json), and their bytes: the API takes 6 MB."""

MAX_TOLD = 10
"""The most mistakes that are shown of a file of events."""


class EventFileError(Exception):
    """A file of events cannot be used; the text says what was expected and what was found."""


def read(path: Path) -> list[Event]:
    """Reads one JSON event, a JSON list of events, or a JSON event on each line; `-` is the standard input. Raises
    `EventFileError`."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise EventFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EventFileError(f"{path}: expected UTF-8, found something else at byte {error.start}") from error
    try:
        document = json.loads(text)
    except ValueError:
        try:
            # Not splitlines(), which also splits at U+2028 and others that JSON texts may contain.
            document = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError as error:
            raise EventFileError(f"{path}: expected a JSON event, a list of them, or one a line: {error}") from error
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise EventFileError(f"{path}: expected at least one event, each a JSON object")
    return events


def read_checked(path: Path) -> list[Event]:
    """Reads events as `read` does, and raises `EventFileError` with what the stream would refuse of them, too."""
    events = read(path)
    schema = Schema(contract.component("Event"))
    mistakes = [
        f"event {number}: {error.field}: expected {error.expected}, found {error.found}"
        for number, event in enumerate(events, 1)
        for error in schema.errors(event)
    ]
    if mistakes:
        more = [f"… and {len(mistakes) - MAX_TOLD} more"] if len(mistakes) > MAX_TOLD else []
        told = "\n".join([*mistakes[:MAX_TOLD], *more])
        raise EventFileError(f"{path}: not as docs/streaming.md describes events:\n{told}")
    return events


def put(client: Client, events: Sequence[Event]) -> Iterator[Mapping[str, Any]]:
    """Sends the events, and yields for each the API's result: `status`, and `event_id` or `problem`. Raises `ApiError`
    where the API takes none of a request."""
    for batch in split(events, lambda event: len(json.dumps(event).encode()) + 2, MAX_BYTES, MAX_EVENTS):
        answer = client.ask("/v1/events", body={"events": batch})
        if answer.status != 200:
            found = answer.json.get("detail") or answer.json.get("message")
            raise ApiError(f"/v1/events: expected status 200, found {answer.status}: {found}")
        yield from answer.json["results"]


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Returns 1 if an event is not on the stream."""
    chosen = _parser().parse_args(arguments)
    results: list[Mapping[str, Any]] = []
    try:
        events = read(chosen.file) if chosen.file else [_event(chosen)]
        for result in put(Client(address_of(chosen)), events):
            results.append(result)
            print(json.dumps(result) if chosen.json else _line(result))
    except (ApiError, NoRunError, EventFileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(result["status"] == 202 for result in results) else 1


def _line(result: Mapping[str, Any]) -> str:
    return f"{result['status']}  {result.get('event_id') or result['problem']['detail']}"


def _event(chosen: argparse.Namespace) -> Event:
    event: Event = {SESSION: chosen.session, TYPE: chosen.type}
    if chosen.customer is not None:
        event[CUSTOMER] = chosen.customer
    if chosen.recommendation is not None:
        event[RECOMMENDATION_ID] = chosen.recommendation
    if chosen.type in RECOMMENDED:
        given = ((False, chosen.items), (True, chosen.cart))
        return event | {HISTORY: [{PRODUCT: item, IN_CART: in_cart} for in_cart, items in given for item in items]}
    more = {POSITION: chosen.position, QUANTITY: chosen.quantity, RATING: chosen.rating}
    known = {key: value for key, value in more.items() if value is not None}
    return event | {ITEMS: [{PRODUCT: item, **known} for item in chosen.items]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations events", description=(__doc__ or "").splitlines()[0])
    putting = parser.add_subparsers(required=True, metavar="put").add_parser(
        "put",
        help="put the events of a file, or one event",
        description="Prints a line for each event: its id, or why not.",
    )
    add_address(putting)
    putting.add_argument("file", nargs="?", type=Path, help="an event, a list of them, or one a line; - is the input")
    putting.add_argument("--type", choices=[*EventType], default=EventType.BROWSE, help="default: %(default)s")
    putting.add_argument("--customer", metavar="ID", help="the customer (default: a visitor whom nobody knows)")
    putting.add_argument("--session", metavar="ID", default=str(uuid.uuid4()), help="the visit (default: a new one)")
    putting.add_argument(
        "--items", nargs="*", default=[], metavar="ID", help="looked at, shown, chosen, bought or rated"
    )
    putting.add_argument("--cart", nargs="*", default=[], metavar="ID", help="what lies in the cart")
    putting.add_argument("--recommendation", metavar="ID", help="the answer that the event follows")
    putting.add_argument("--position", type=int, metavar="N", help="the item's place in that answer, from 1")
    putting.add_argument("--quantity", type=int, metavar="N", help="how many were bought")
    putting.add_argument("--rating", type=float, metavar="N", help="how the items were rated")
    putting.add_argument("--json", action="store_true", help="print the results as they came")
    return parser
