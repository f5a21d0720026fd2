"""What a run made, in words: where everything lies, and a few customers with what they did and what they get."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from contracts.dataset import Dataset
from contracts.events import CUSTOMER, HISTORY, IN_CART, PRODUCT
from local.shop import Shop
from operations.recommendations import Record

CUSTOMERS_SHOWN = 3
FEATURES_SHOWN = 3


def show_examples(console: Console, shop: Shop, records: Sequence[Record], spec: Dataset) -> None:
    """A panel for each of a few customers: what they looked at, and what is recommended to them."""
    for record in _examples(shop, records):
        show_record(console, shop, record, spec)


def show_record(console: Console, shop: Shop, record: Record, spec: Dataset) -> None:
    """A panel: who, what they looked at, and what is recommended to them."""
    looked = Table.grid(padding=(0, 2))
    for entry in record[HISTORY]:
        where = "in the cart" if entry.get(IN_CART) else "looked at"
        looked.add_row(f"[dim]{where}[/]", escape(shop.item(str(entry[PRODUCT]))))
    given = Table.grid(padding=(0, 2))
    for item in record["recommended_items"]:
        given.add_row(f"[green]{item['score']:6.3f}[/]", escape(shop.item(item["id"])))
    if not record["recommended_items"]:
        given.add_row("nothing: no item that is in stock is left")
    body = Group(looked, f"\n[bold]recommended[/] ({record['strategy']})", given)
    console.print(Panel(body, title=escape(_who(record, spec)), title_align="left", expand=False))


def _who(record: Record, spec: Dataset) -> str:
    """The customer, and the first texts among the features that the event brought."""
    customer = record.get(CUSTOMER)
    texts = [record.get(field) for field in spec.event_features]
    told = [text for text in texts if isinstance(text, str) and text][:FEATURES_SHOWN]
    return ", ".join(["somebody unknown" if customer is None else f"customer {customer}", *told])


def count_lists(records: Sequence[Record], sent: int) -> str:
    """How many of the events sent came back with recommendations; what came back with an empty list is none."""
    full = sum(bool(record["recommended_items"]) for record in records)
    empty = f", {len(records) - full} with an empty list" if full < len(records) else ""
    return f"{full} of {sent} came back as recommendations{empty}"


def show_places(console: Console, places: Mapping[str, str]) -> None:
    """Where things lie, a line each: not wrapped, so that it can be copied."""
    width = max(map(len, places))
    for what, where in places.items():
        console.print(f"[bold]{what:<{width}}[/]  {escape(where)}", soft_wrap=True)


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Keeps the records as JSON lines, in the order of their event ids."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _examples(shop: Shop, records: Sequence[Record]) -> list[Record]:
    """One record for each of a few customers: first those who looked at most, at things that the shop has."""

    def rank(record: Record) -> tuple[bool, int]:
        looked_at = [str(entry[PRODUCT]) for entry in record[HISTORY]]
        return any(item not in shop.item_names for item in looked_at), -len(looked_at)

    chosen: dict[Any, Record] = {}
    for record in sorted(records, key=rank):
        chosen.setdefault(record.get(CUSTOMER), record)
    return list(chosen.values())[:CUSTOMERS_SHOWN]
