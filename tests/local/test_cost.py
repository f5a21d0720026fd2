"""The cost of a stack follows from its graph: the tables of docs/cost.md are the command's output."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from emulator.program import ROOT
from local.cost import command, idle, use
from local.cost.idle import Line
from local.cost.prices import PRICES, Prices, UnknownPriceError
from local.graph.recorder import Graph, Node
from local.graph.stack import record

IDLE_LIMIT_DOLLARS = 50
"""The most dollars a month of the dev stack (docs/cost.md and the design)."""


def bill(stack: str, **settings: Any) -> dict[str, Line]:
    graph = record(stack, {key.replace("__", "."): value for key, value in settings.items()})
    return {line.item: line for line in idle.lines(graph, Prices())}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_documented_tables_are_the_commands_output(stack: str) -> None:
    document = (ROOT / "docs" / "cost.md").read_text()
    report = command.report(stack)
    assert report in document, f"docs/cost.md: put the output of `python -m local cost --stack {stack}` in:\n{report}"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_readme_gives_the_same_sums(stack: str) -> None:
    documented = (ROOT / "docs" / "cost.md").read_text().partition(f"## {stack}\n")[2].partition("\n## ")[0]
    idle_sum, events, requests = re.findall(r"\*\*sum\*\* \| \| \*\*([\d.]+)\*\*", documented)
    batch = sum(float(dollars) for dollars in re.findall(r"^\| Glue .*? \| .*? \| ([\d.]+) \|", documented, re.M))
    row = re.search(rf"^\| `{stack}`.*$", (ROOT / "README.md").read_text(), re.M)
    assert row is not None
    assert row[0].endswith(f" | {float(idle_sum):.0f} | {events} | {requests} | {batch:.2f} |"), row[0]


def test_dev_costs_less_idle_than_the_design_allows() -> None:
    assert sum(line.amount for line in bill("dev").values()) < IDLE_LIMIT_DOLLARS


def test_a_setting_changes_the_bill_as_aws_charges_for_it() -> None:
    plain = bill("dev")
    standby = bill("dev", vectors__multi_az=True, stream__shards=3)
    instance, storage = "vectors-postgres: instance", "vectors-postgres: storage"
    assert standby[instance].amount == pytest.approx(2 * plain[instance].amount) == pytest.approx(2 * 0.016 * 730)
    assert standby[storage].amount == pytest.approx(2 * 20 * 0.115)
    assert standby["Kinesis"].amount == pytest.approx(3 * plain["Kinesis"].amount)
    endpoints = bill("dev", network__interface_endpoints=["secretsmanager"])["Interface endpoints"]
    assert endpoints.amount == pytest.approx(2 * 0.01 * 730)


def test_events_that_come_slowly_fill_smaller_batches_and_objects() -> None:
    graph, prices = record("dev"), Prices()
    fast, slow = (
        {line.item: line.amount for line in use.lines(graph, prices, use.Rate(rate))} for rate in (1000.0, 1.0)
    )
    assert slow["Lambda: calls"] > fast["Lambda: calls"]
    assert slow["S3: objects"] > fast["S3: objects"]
    assert slow["Firehose"] == fast["Firehose"]


@pytest.mark.parametrize(
    ("type_", "inputs", "names"),
    [
        ("aws:ec2/natGateway:NatGateway", {}, "natGateway"),
        ("aws:rds/instance:Instance", {"instanceClass": "db.x9.huge", "allocatedStorage": 1}, r"db\.x9\.huge"),
    ],
)
def test_what_has_no_price_is_an_error_that_names_it(type_: str, inputs: dict[str, Any], names: str) -> None:
    node = Node("urn", type_, "n", inputs, inputs, "", True, (), False)
    with pytest.raises(UnknownPriceError, match=names):
        idle.lines(Graph([node]), Prices())


def test_every_price_names_its_page_and_how_it_was_checked() -> None:
    for price in Prices():
        assert price.page.startswith("https://aws.amazon.com/")
        assert price.checked in ("quoted", "memory")
    when = re.search(r"on (\d{4}-\d\d-\d\d)", Path(PRICES).read_text())
    assert when is not None
    date.fromisoformat(when[1])


def test_the_command_prices_any_setting_and_refuses_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--set", "vectors.instance_class=db.t4g.medium"]) == 0
    assert "| vectors-postgres: instance | db.t4g.medium | 47.45 |" in capsys.readouterr().out
    assert command.main(["--set", "vectors.multi_az"]) == 2
    assert "expected KEY=VALUE" in capsys.readouterr().err
    assert command.main(["--stack", "nowhere"]) == 2
