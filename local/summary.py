"""What a run made, in words: where everything lies, and a few customers with what they did and what they get."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from local.shop import Shop
from operations.recommendations import Record

CUSTOMERS_SHOWN = 3


def show_examples(console: Console, shop: Shop, records: Sequence[Record]) -> None:
    """A panel for each of a few customers: what they looked at, and what is recommended to them."""
    for record in _examples(shop, records):
        title = f"customer {record.get('customer_number')}, {record.get('city', '?')}, {record.get('country', '?')}"
        looked = Table.grid(padding=(0, 2))
        for entry in record["browse_history"]:
            where = "in the cart" if entry.get("in_shopping_cart") else "looked at"
            looked.add_row(f"[dim]{where}[/]", escape(shop.item(str(entry["product_code"]))))
        given = Table.grid(padding=(0, 2))
        for item in record["recommended_items"]:
            given.add_row(f"[green]{item['score']:6.3f}[/]", escape(shop.item(item["id"])))
        body = Group(looked, f"\n[bold]recommended[/] ({record['strategy']})", given)
        console.print(Panel(body, title=escape(title), title_align="left", expand=False))


def show_places(console: Console, places: Mapping[str, str]) -> None:
    """Where things lie."""
    table = Table.grid(padding=(0, 2))
    for what, where in places.items():
        table.add_row(f"[bold]{what}[/]", escape(where))
    console.print(table)


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Keeps the records as JSON lines, in the order of their event ids."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _examples(shop: Shop, records: Sequence[Record]) -> list[Record]:
    """One record for each of a few customers: first those who looked at most, at things that the shop has."""

    def rank(record: Record) -> tuple[bool, int]:
        looked_at = [str(entry["product_code"]) for entry in record["browse_history"]]
        return any(item not in shop.item_names for item in looked_at), -len(looked_at)

    chosen: dict[Any, Record] = {}
    for record in sorted(records, key=rank):
        chosen.setdefault(record.get("customer_number"), record)
    return list(chosen.values())[:CUSTOMERS_SHOWN]
