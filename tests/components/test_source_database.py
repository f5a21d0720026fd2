"""An existing MySQL, or one for trial that a function fills."""

import json
from typing import Any, cast

import pulumi
import pytest

from components import CommonArgs, SourceDatabase, SourceDatabaseArgs, SourceDatabaseSettings
from local.graph.recorder import Graph, build, without_secrets
from tests.components.shared import CODE, COMMON, KEY, PLACEMENT


def source(password: str | None = None, common: CommonArgs = COMMON, **settings: Any) -> Graph:
    def program() -> None:
        args: SourceDatabaseArgs = {
            "common": common,
            "settings": cast("SourceDatabaseSettings", settings),
            "password": password,
            "placement": PLACEMENT,
            "code": CODE,
        }
        pulumi.export("login_uri", SourceDatabase("source", args).login_uri)

    return build(program)


EXISTING: dict[str, Any] = {
    "host": "mysql.internal",
    "port": 3307,
    "database": "shop",
    "username": "reader",
    "password": "hidden",
}


def test_an_existing_database_is_reached_and_nothing_but_its_login_is_made() -> None:
    graph = source(**EXISTING)
    assert graph.outputs["login_uri"][0] == "s3://code/source/login.json"
    made = {node.type.rsplit(":", 1)[1] for node in graph.nodes if node.custom}
    assert made == {"SecurityGroup", "SecurityGroupEgressRule", "BucketObjectv2"}
    login = json.loads(graph.one("BucketObjectv2", "login").inputs["content"])
    url = "jdbc:mysql://mysql.internal:3307/shop"
    assert login == {"url": url, "username": "reader", "password": "hidden"}


@pytest.mark.parametrize("key", [None, KEY])
def test_the_login_is_encrypted_by_kms_and_a_secret_of_the_state(key: str | None) -> None:
    common: CommonArgs = COMMON if key is None else {**COMMON, "kms_key_arn": key}
    login = source(**EXISTING, common=common).one("BucketObjectv2", "login")
    assert (login.inputs["serverSideEncryption"], login.inputs.get("kmsKeyId")) == ("aws:kms", key)
    assert without_secrets(login.raw["content"]) == "[secret]"


def test_options_of_the_driver_are_part_of_the_url() -> None:
    login = source(**EXISTING, options="sslMode=VERIFY_CA").one("BucketObjectv2", "login").inputs["content"]
    assert json.loads(login)["url"] == "jdbc:mysql://mysql.internal:3307/shop?sslMode=VERIFY_CA"


def test_the_trial_database_is_private_and_filled_once_from_inside_the_vpc() -> None:
    graph = source(trial=True)
    assert graph.one("Instance").inputs["publiclyAccessible"] is False
    seeding = graph.one("Invocation")
    assert seeding.inputs["lifecycleScope"] == "CREATE_ONLY"
    assert {node.urn for node in graph.nodes if "SecurityGroupIngressRule" in node.type} <= set(seeding.depends_on)
    assert graph.one("lambda/function:Function").inputs["vpcConfig"]["subnetIds"] == ["subnet-1", "subnet-2"]
    assert not source(trial=True, sample_shop=False).of("Invocation")


def test_an_existing_database_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the password of the existing database"):
        source(host="mysql.internal")


@pytest.mark.parametrize("settings", [{}, {"trial": False}, {"username": "reader", "password": "hidden"}])
def test_no_toy_database_is_made_unless_somebody_says_trial(settings: Any) -> None:
    with pytest.raises(ValueError, match="expected host, username and password of the shop's MySQL, or trial: true"):
        source(**settings)


def test_a_trial_beside_an_existing_database_is_refused() -> None:
    with pytest.raises(ValueError, match="trial: expected it without a host"):
        source(**EXISTING, trial=True)
