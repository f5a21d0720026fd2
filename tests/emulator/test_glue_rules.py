"""Rules of Glue that nothing on the author's machine reports."""

import pytest

from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.glue.network import MANAGED_TAG, attach_to_vpc
from emulator.glue.triggers import crawlers, fired_by_event, fired_by_job
from tests.emulator.aws import Aws, Statement, allow, trust

INTERFACES: Statement = allow(
    [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpoints",
    ],
    "*",
)


def tags(key: str) -> Statement:
    condition = {"ForAllValues:StringEquals": {"aws:TagKeys": [key]}}
    return allow(["ec2:CreateTags", "ec2:DeleteTags"], "arn:aws:ec2:*:*:network-interface/*", Condition=condition)


def test_a_job_with_a_connection_needs_the_rights_to_make_its_network_interfaces(aws: Aws) -> None:
    role = aws.role(trust("glue.amazonaws.com"), INTERFACES, tags(MANAGED_TAG))
    attach_to_vpc(aws.ministack, "ratings", role)
    aws.allow(role, tags(MANAGED_TAG))
    with pytest.raises(LocalRunError, match=r"Glue job ratings: AccessDenied: .*ec2:CreateNetworkInterface"):
        attach_to_vpc(aws.ministack, "ratings", role)
    aws.allow(role, INTERFACES, tags("another-tag"))
    with pytest.raises(LocalRunError, match=r"may not ec2:CreateTags, ec2:DeleteTags"):
        attach_to_vpc(aws.ministack, "ratings", role)


CONDITIONAL = Resource(
    "aws:glue/trigger:Trigger",
    "after-job",
    {
        "type": "CONDITIONAL",
        "predicate": {"conditions": [{"jobName": "ratings", "state": "SUCCEEDED"}]},
        "actions": [{"crawlerName": "crawler"}],
    },
)
BY_EVENT = Resource(
    "aws:glue/trigger:Trigger",
    "by-event",
    {"type": "EVENT", "workflowName": "catalogue", "actions": [{"crawlerName": "crawler"}]},
)


@pytest.mark.parametrize(
    ("job", "state", "by_trigger", "started"),
    [
        ("ratings", "SUCCEEDED", True, ["crawler"]),
        ("ratings", "SUCCEEDED", False, []),
        ("ratings", "FAILED", True, []),
        ("another", "SUCCEEDED", True, []),
    ],
)
def test_a_conditional_trigger_fires_only_for_a_job_that_a_trigger_started(
    job: str, state: str, by_trigger: bool, started: list[str]
) -> None:
    fired = fired_by_job([CONDITIONAL, BY_EVENT], job, state, started_by_trigger=by_trigger)
    assert crawlers(fired) == started


def test_an_event_fires_the_workflows_own_start_trigger() -> None:
    assert crawlers(fired_by_event([CONDITIONAL, BY_EVENT], "catalogue")) == ["crawler"]
    assert fired_by_event([CONDITIONAL, BY_EVENT], "another") == []
