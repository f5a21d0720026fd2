"""`python -m local send` puts an event on the stream of a run that is kept up, and shows the recommendations."""

import os
import uuid
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console

from contracts.columns import KeyType
from contracts.events import CUSTOMER, HISTORY, IN_CART, PRODUCT, QUANTITY, SESSION
from emulator.errors import LocalRunError
from local import keep
from local.events import Event, put_events
from local.options import Parser, number
from local.shop import Customer, read_customer, read_names
from local.summary import show_record
from operations.recommendations import Receiver


def main(arguments: list[str]) -> int:
    """Sends one visit to a run that is kept up, and shows the recommendations that come back."""
    options = _parser().parse_args(arguments)
    run = keep.find(options.folder)
    os.environ.update(run.environment)
    customer = _customer(run, options.customer)
    event = _event(run, customer, options.items or [], options.cart or [])
    receiver = Receiver(boto3.client("s3"), run.bucket)
    receiver.poll()
    (event_id,) = put_events(boto3.client("kinesis"), run.stream, [event])
    missing = receiver.wait_for([event_id], options.seconds)
    if missing:
        raise LocalRunError(
            f"no answer in {options.seconds} s: {receiver.received.reasons() or f'look at the logs in {run.folder}'}"
        )
    record = receiver.received.recommendations[event_id]
    show_record(Console(highlight=False), read_names(run.login, run.spec, _ids(record)), record, run.spec)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m local send", description=main.__doc__)
    parser.add_argument("--customer", metavar="ID", help="who comes to the site (default: somebody unknown)")
    parser.add_argument("--items", nargs="*", metavar="ID", help="what they look at, the last one last")
    parser.add_argument("--cart", nargs="*", metavar="ID", help="what they put into the cart")
    parser.add_argument("--folder", type=Path, help="the run's folder (default: that of the one run that is up)")
    parser.add_argument("--seconds", type=number(1, 3600), default=60, help="how long to wait (default: 60)")
    return parser


def _customer(run: keep.RunThatIsUp, key: str | None) -> Customer | None:
    if key is None:
        return None
    known = read_customer(run.login, run.spec, key)
    if known:
        return known
    whole = run.spec.users.key_type is KeyType.INTEGER
    if whole and not key.lstrip("-").isdecimal():
        raise LocalRunError(f"--customer {key}: expected a whole number, as {run.spec.users.key} is")
    return Customer(int(key) if whole else key, {}, ())


def _event(run: keep.RunThatIsUp, customer: Customer | None, items: list[str], cart: list[str]) -> Event:
    fields = {column: field for field, column in run.spec.event_features.items()}
    features = customer.features if customer else {}
    return {
        SESSION: str(uuid.uuid4()),
        **({CUSTOMER: customer.id} if customer else {}),
        **{fields[column]: value for column, value in features.items() if column in fields},
        HISTORY: [
            {PRODUCT: item, QUANTITY: 1, IN_CART: in_cart}
            for in_cart, given in ((False, items), (True, cart))
            for item in given
        ],
    }


def _ids(record: dict[str, Any]) -> set[str]:
    return {str(entry[PRODUCT]) for entry in record[HISTORY]} | {item["id"] for item in record["recommended_items"]}
