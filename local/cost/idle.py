"""Computes the cost of a stack while nothing happens: every resource of the graph is priced, or listed as free."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from local.cost.prices import Price, Prices, UnknownPriceError
from local.graph.recorder import Graph, Node

_REFRESH = ".catalog_refresh."
REFRESH_SECONDS = 1.0
"""Seconds of a refresh of the catalogue of some 10,000 items of which few have changed (docs/catalogue.md has measured
times)."""
LOGGED_KB_A_REFRESH = 2.0
"""Kilobytes that a refresh logs, with the platform's own lines."""


@dataclass(frozen=True)
class Line:
    """A row of the bill. `amount` is in dollars, for a month or for the use; no quantity means one of each resource."""

    item: str
    quantity: str
    amount: float
    price: str


def lines(graph: Graph, prices: Prices) -> list[Line]:
    """Returns the idle bill for a month. Raises `UnknownPriceError` for a resource that is neither priced nor free."""
    counted: dict[str, list[Line]] = {}
    for node in graph.nodes:
        if not node.custom:
            continue
        for line in _price(node, prices):
            counted.setdefault(line.item, []).append(line)
    return [*(_sum(group) for _, group in sorted(counted.items())), *_refreshes(graph, prices)]


def _sum(group: list[Line]) -> Line:
    first = group[0]
    number = f"{len(group)} × {first.quantity}" if first.quantity else str(len(group))
    quantity = first.quantity if first.quantity and len(group) == 1 else number
    return Line(first.item, quantity, sum(line.amount for line in group), first.price)


def _price(node: Node, prices: Prices) -> Iterator[Line]:
    priced = _PRICED.get(node.type)
    if priced is not None:
        yield from priced(node, prices)
    elif not node.type.startswith(FREE):
        raise UnknownPriceError(
            f"{node.type} {node.name}: price it in local/cost/idle.py, or list it there as free while idle"
        )


def _database(node: Node, prices: Prices) -> Iterator[Line]:
    inputs = node.inputs
    zones = 2 if inputs.get("multiAz") else 1
    spread = ", with standby" if zones == 2 else ""
    price = prices.database(inputs["instanceClass"])
    yield Line(
        f"{node.name}: instance", f"{inputs['instanceClass']}{spread}", zones * prices.hours * price.amount, str(price)
    )
    size, storage = float(inputs["allocatedStorage"]), prices["rds_storage"]
    yield Line(f"{node.name}: storage", f"{size:.0f} GB{spread}", zones * size * storage.amount, str(storage))


def _stream(node: Node, prices: Prices) -> Iterator[Line]:
    if node.inputs["streamModeDetails"]["streamMode"] == "ON_DEMAND":
        price = prices["kinesis_on_demand"]
        yield Line("Kinesis", "on demand", prices.hours * price.amount, str(price))
        return
    shards, price = float(node.inputs["shardCount"]), prices["kinesis_shard"]
    yield Line("Kinesis", _number(shards, "shard"), shards * prices.hours * price.amount, str(price))
    if float(node.inputs.get("retentionPeriod", 24)) > 24:
        kept = prices["kinesis_shard_retention"]
        yield Line("Kinesis: retention", _number(shards, "shard"), shards * prices.hours * kept.amount, str(kept))


def _number(count: float, thing: str) -> str:
    return f"{count:.0f} {thing}{'' if count == 1 else 's'}"


def _endpoint(node: Node, prices: Prices) -> Iterator[Line]:
    if node.inputs.get("vpcEndpointType") == "Interface":
        zones, price = len(node.inputs["subnetIds"]), prices["interface_endpoint"]
        yield Line("Interface endpoints", _number(zones, "zone"), zones * prices.hours * price.amount, str(price))


def _refreshes(graph: Graph, prices: Prices) -> Iterator[Line]:
    """Yields what the schedule's calls of the catalogue's refresh cost."""
    for schedule in graph.of("scheduler/schedule:Schedule"):
        if schedule.inputs["state"] != "ENABLED":
            continue
        minutes = int(re.findall(r"\d+", schedule.inputs["scheduleExpression"])[0])
        runs = prices.hours * 60 / minutes
        function = next(node for node in graph.of("lambda/function:Function") if _REFRESH in node.inputs["handler"])
        seconds = runs * REFRESH_SECONDS * float(function.inputs["memorySize"]) / 1024
        logged = runs * LOGGED_KB_A_REFRESH / 1024 / 1024
        calls, requests, duration, logs, traces = (
            prices[name] for name in ("scheduler_calls", "lambda_requests", "lambda_arm64", "logs", "traces")
        )
        yield Line("Refresh: calls", f"{runs:,.0f}", runs / 1e6 * (calls.amount + requests.amount), str(calls))
        yield Line("Refresh: duration", f"{seconds:,.0f} GB-seconds", seconds * duration.amount, str(duration))
        yield Line("Refresh: logs", f"{1024 * logged:,.0f} MB", logged * logs.amount, str(logs))
        yield Line("Refresh: X-Ray", f"{runs:,.0f} traces", runs / 1e6 * traces.amount, str(traces))


def _each(item: str, price_name: str) -> Callable[[Node, Prices], Iterator[Line]]:
    def lines_of(_: Node, prices: Prices) -> Iterator[Line]:
        price: Price = prices[price_name]
        yield Line(item, "", price.amount, str(price))

    return lines_of


_PRICED: dict[str, Callable[[Node, Prices], Iterator[Line]]] = {
    "aws:rds/instance:Instance": _database,
    "aws:kinesis/stream:Stream": _stream,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:secretsmanager/secret:Secret": _each("Secrets", "secret"),
    "aws:kms/key:Key": _each("KMS key", "kms_key"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _each("Alarms", "alarm"),
    "aws:cloudwatch/dashboard:Dashboard": _each("Dashboard", "dashboard"),
}

FREE = (
    "random:",
    "aws:apigatewayv2/",
    "aws:athena/",
    "aws:cloudwatch/event",
    "aws:cloudwatch/log",
    "aws:ec2/defaultSecurityGroup",
    "aws:ec2/routeTable",
    "aws:ec2/securityGroup",
    "aws:ec2/subnet",
    "aws:ec2/vpc:",
    "aws:glue/",
    "aws:iam/",
    "aws:kinesis/firehose",
    "aws:kms/alias",
    "aws:lambda/",
    "aws:rds/parameterGroup",
    "aws:rds/subnetGroup",
    "aws:route53/record",
    "aws:s3/",
    "aws:scheduler/",
    "aws:secretsmanager/secretVersion",
    "aws:sns/",
    "aws:sqs/",
    "aws:vpc/",
)
"""Beginnings of resource types that cost nothing while they exist: they are paid for by use, or not at all."""


def total(bill: list[Line]) -> float:
    """Returns the sum of a bill."""
    return sum(line.amount for line in bill)
