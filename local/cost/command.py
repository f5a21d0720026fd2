"""The command line. `python -m local cost` computes the cost of a stack from its resources and `prices.toml`."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from emulator.errors import LocalRunError
from local.cost import idle, use
from local.cost.idle import Line
from local.cost.prices import Prices, UnknownPriceError
from local.graph.stack import record


def main(arguments: list[str]) -> int:
    """Prints a stack's bill as Markdown: idle for a month, for a million events, and for a run of the Glue job."""
    parser = argparse.ArgumentParser(prog="python -m local cost", description=main.__doc__)
    parser.add_argument("--stack", default="dev", help="which Pulumi.<stack>.yaml to price (default: dev)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting on top, such as vectors.multi_az=true",
    )
    parser.add_argument("--events-per-second", type=float, default=use.Rate.events_per_second, metavar="N")
    parser.add_argument("--json", action="store_true", help="the three sums, in dollars")
    options = parser.parse_args(arguments)
    try:
        settings = dict(_setting(text) for text in options.set)
        rate = use.Rate(options.events_per_second)
        print(
            json.dumps(sums(options.stack, settings, rate)) if options.json else report(options.stack, settings, rate)
        )
    except (LocalRunError, UnknownPriceError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def report(stack: str, settings: dict[str, Any] | None = None, rate: use.Rate | None = None) -> str:
    """Returns the bill in Markdown. Raises `LocalRunError`, `UnknownPriceError`, and the errors of the program."""
    graph, prices, rate = record(stack, settings), Prices(), rate or use.Rate()
    at = f"a million events of {use.EVENT_KB:.0f} KB, {rate.events_per_second:g} a second"
    return "\n".join(
        [
            *_table("idle, a month", idle.lines(graph, prices)),
            "",
            *_table(at, use.lines(graph, prices, rate)),
            "",
            *_table("a million API requests", use.api_lines(graph, prices)),
            "",
            *_table("batch", use.glue_lines(graph, prices), summed=False),
        ]
    )


def sums(stack: str, settings: dict[str, Any], rate: use.Rate) -> dict[str, float]:
    """Costs in dollars: `idle` for a month, `events` and `requests` for a million of each, `batch` for a run of the job
    and the crawler."""
    graph, prices = record(stack, settings), Prices()
    return {
        "idle": idle.total(idle.lines(graph, prices)),
        "events": idle.total(use.lines(graph, prices, rate)),
        "requests": idle.total(use.api_lines(graph, prices)),
        "batch": idle.total(use.glue_lines(graph, prices)),
    }


def _table(title: str, bill: Sequence[Line], *, summed: bool = True) -> list[str]:
    rows = [f"| {line.item} | {line.quantity} | {line.amount:.2f} | {line.price} |" for line in bill]
    total = [f"| **sum** | | **{idle.total(list(bill)):.2f}** | |"] if summed else []
    return [f"| {title} | | dollars | price |", "|---|---|---:|---|", *rows, *total]


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: expected KEY=VALUE, such as vectors.multi_az=true")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
