"""Shows the results of a run: places, and a few customers with what they looked at and what they are recommended."""

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
    """Prints a panel for each of a few customers: items that they looked at, and items recommended to them."""
    for record in _examples(shop, records):
        show_record(console, shop, record, spec)


def show_record(console: Console, shop: Shop, record: Record, spec: Dataset) -> None:
    """Returns a panel for one customer."""
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
    """Returns the customer, and the first texts among the features of the event."""
    customer = record.get(CUSTOMER)
    texts = [record.get(field) for field in spec.event_features]
    told = [text for text in texts if isinstance(text, str) and text][:FEATURES_SHOWN]
    return ", ".join(["somebody unknown" if customer is None else f"customer {customer}", *told])


def count_lists(records: Sequence[Record], sent: int) -> str:
    """Returns how many of the sent events came back with recommendations; an empty list does not count."""
    full = sum(bool(record["recommended_items"]) for record in records)
    empty = f", {len(records) - full} with an empty list" if full < len(records) else ""
    return f"{full} of {sent} came back as recommendations{empty}"


def show_places(console: Console, places: Mapping[str, str]) -> None:
    """Prints places, one on each line. Lines are not wrapped, so that they can be copied."""
    width = max(map(len, places))
    for what, where in places.items():
        console.print(f"[bold]{what:<{width}}[/]  {escape(where)}", soft_wrap=True)


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Writes the records as JSON lines, in the order of their event ids."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _examples(shop: Shop, records: Sequence[Record]) -> list[Record]:
    """Returns one record for each of a few customers, first those who looked at most items that the shop has."""

    def rank(record: Record) -> tuple[bool, int]:
        looked_at = [str(entry[PRODUCT]) for entry in record[HISTORY]]
        return any(item not in shop.item_names for item in looked_at), -len(looked_at)

    chosen: dict[Any, Record] = {}
    for record in sorted(records, key=rank):
        chosen.setdefault(record.get(CUSTOMER), record)
    return list(chosen.values())[:CUSTOMERS_SHOWN]
