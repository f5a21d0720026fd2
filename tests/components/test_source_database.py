"""An existing MySQL, or one for trial that a function fills."""

import json
from typing import Any

import pulumi
import pytest

from components import SourceDatabase
from local.graph.recorder import Graph, build
from tests.components.shared import COMMON


def source(**settings: Any) -> Graph:
    def program() -> None:
        args: Any = {
            **COMMON,
            **settings,
            "vpc_id": "vpc-1",
            "subnet_ids": pulumi.Output.from_input(["subnet-1", "subnet-2"]),
            "code_bucket": "code",
        }
        pulumi.export("jdbc_url", SourceDatabase("source", args).jdbc_url)

    return build(program)


EXISTING = {"host": "mysql.internal", "port": 3307, "database": "shop", "username": "reader", "password": "hidden"}


def test_an_existing_database_is_reached_and_nothing_but_its_login_is_made() -> None:
    graph = source(**EXISTING)
    assert graph.outputs["jdbc_url"][0] == "jdbc:mysql://mysql.internal:3307/shop"
    made = {node.type.rsplit(":", 1)[1] for node in graph.nodes if node.custom}
    assert made == {"SecurityGroup", "SecurityGroupEgressRule", "Secret", "SecretVersion"}
    login = json.loads(graph.one("SecretVersion").inputs["secretString"])
    assert login == {"username": "reader", "password": "hidden"}


def test_options_of_the_driver_are_part_of_the_url() -> None:
    graph = source(**EXISTING, options="sslMode=VERIFY_CA")
    assert graph.outputs["jdbc_url"][0] == "jdbc:mysql://mysql.internal:3307/shop?sslMode=VERIFY_CA"


def test_the_trial_database_is_private_and_filled_once_from_inside_the_vpc() -> None:
    graph = source()
    assert graph.one("Instance").inputs["publiclyAccessible"] is False
    seeding = graph.one("Invocation")
    assert seeding.inputs["lifecycleScope"] == "CREATE_ONLY"
    assert {node.urn for node in graph.nodes if "SecurityGroupIngressRule" in node.type} <= set(seeding.depends_on)
    assert graph.one("lambda/function:Function").inputs["vpcConfig"]["subnetIds"] == ["subnet-1", "subnet-2"]
    assert not source(sample_shop=False).of("Invocation")


def test_an_existing_database_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the password of the existing database"):
        source(host="mysql.internal")
