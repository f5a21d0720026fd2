"""The function that keeps the catalogue fresh: its schedule, what it may reach, and what watches it."""

import json
from typing import Any

import pytest

from components import CatalogRefresh, Link
from local.graph.recorder import Graph, build
from tests.components.program import TRIAL, program_graph
from tests.components.shared import CODE, COMMON, KEY, PLACEMENT, STORE

SOURCE: Link = {
    "variables": {"SOURCE_LOGIN_URI": "s3://code/source/login.json"},
    "statements": [{"sid": "ReadSourceLogin", "actions": ["s3:GetObject"], "resources": ["arn:login"]}],
    "security_group_ids": ["sg-source"],
}


def catalogue(common: Any = COMMON, **settings: Any) -> Graph:
    linked: Any = {"placement": PLACEMENT, "store": STORE, "source": SOURCE, "code": CODE}
    args: Any = {"common": common, "settings": settings, **linked}
    return build(lambda: CatalogRefresh("catalogue", args))


def schedule(graph: Graph) -> dict[str, Any]:
    return dict(graph.one("scheduler/schedule:Schedule").inputs)


@pytest.mark.parametrize(
    ("minutes", "expression", "timeout"), [(1, "rate(1 minute)", 60), (5, "rate(5 minutes)", 300), (60, "", 900)]
)
def test_it_runs_every_few_minutes_and_ends_before_the_next_run(minutes: int, expression: str, timeout: int) -> None:
    graph = catalogue(minutes=minutes)
    assert schedule(graph)["scheduleExpression"] == (expression or "rate(60 minutes)")
    assert graph.one("lambda/function:Function").inputs["timeout"] == timeout
    assert schedule(graph)["target"]["retryPolicy"]["maximumRetryAttempts"] == 0
    assert graph.one("FunctionEventInvokeConfig").inputs["maximumRetryAttempts"] == 0


def test_it_reaches_the_store_the_source_and_s3_and_nothing_else() -> None:
    function = catalogue().one("lambda/function:Function").inputs
    assert function["vpcConfig"]["securityGroupIds"] == ["sg-db", "sg-source", "sg-s3"]
    assert set(function["environment"]["variables"]) == {"VECTOR_DB_HOST", "SOURCE_LOGIN_URI"}


def test_the_schedule_may_call_this_function_alone_for_this_account_alone() -> None:
    graph = catalogue()
    role = graph.one("iam/role:Role", "catalogue-schedule").inputs
    (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    (statement,) = json.loads(graph.one("RolePolicy", "catalogue-schedule").inputs["policy"])["Statement"]
    assert statement["Action"] == ["lambda:InvokeFunction"]
    assert statement["Resource"] == [schedule(graph)["target"]["arn"]]


def test_a_key_encrypts_the_schedule_which_its_role_may_decrypt() -> None:
    graph = catalogue({**COMMON, "kms_key_arn": KEY})
    assert schedule(graph)["kmsKeyArn"] == KEY
    statements = json.loads(graph.one("RolePolicy", "catalogue-schedule").inputs["policy"])["Statement"]
    assert {"kms:Decrypt"} in [set(statement["Action"]) for statement in statements]


def test_switched_off_it_can_still_be_called() -> None:
    graph = catalogue(enabled=False)
    assert schedule(graph)["state"] == "DISABLED"
    assert graph.of("lambda/function:Function")


@pytest.mark.parametrize(("setting", "value"), [("minutes", 0), ("minutes", 1441), ("memory_mb", 256)])
def test_what_aws_would_reject_is_refused_at_once(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"CatalogRefresh: {setting}: expected .* got {value}"):
        catalogue(**{setting: value})


def alarms(**overrides: Any) -> dict[str, Any]:
    graph = program_graph("dev", overrides={**TRIAL, **overrides})
    return {node.name: node.inputs for node in graph.of("MetricAlarm") if "catalogue" in node.name}


def test_an_alarm_rings_after_three_periods_without_a_refresh_also_if_nothing_is_heard_of_it() -> None:
    stale = alarms()["monitoring-catalogue-stale"]
    assert (stale["evaluationPeriods"], stale["period"], stale["threshold"]) == (3, 300, 1)
    assert stale["treatMissingData"] == "breaching"
    assert alarms(**{"catalogue.minutes": 30})["monitoring-catalogue-stale"]["evaluationPeriods"] == 18
    assert set(alarms()) - set(alarms(**{"catalogue.enabled": False})) == {"monitoring-catalogue-stale"}
