"""A product put into the shop's MariaDB is answered by the API at the next refresh, through the whole program."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from contracts.mysql import Login
from emulator.program import read_stack
from functions.shop_seeder.sample_shop.sql import TABLES
from local.session import Deployment, deploy, running_services
from local.streaming import Streaming
from operations.api import Client
from tests.databases import execute
from tests.emulator.aws import wait_until
from tests.functions.worlds import world
from tests.local.harness import QUICK

V1 = "20261101T000000Z-000001"


class Shop:
    """The products of the run's MariaDB, and the API of the version that was trained on them."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        instance = deployment.database("mysql")
        assert instance is not None
        address = (instance.server.host, instance.server.port)
        self.login = Login(*address, instance.database, instance.username, instance.password)

    def put(self, *ids: str, stock: int = 5) -> None:
        rows = ", ".join(f"('{id_}', 'Name of {id_}', 'Ships', '1:10', 'A vendor', '', {stock}, 10, 20)" for id_ in ids)
        execute(self.login, [f"REPLACE INTO products VALUES {rows}"])

    def similar(self, item: str) -> tuple[int, list[dict[str, Any]]]:
        """Status and items of the API's answer."""
        aws = self.deployment.cloud.aws
        with mock.patch.dict("os.environ", aws.environment(aws.root)):
            answer = Client(self.deployment.output("api_url")).ask(f"/v1/items/{item}/similar")
        return answer.status, answer.json.get("items", [])

    def popular(self) -> list[str]:
        aws = self.deployment.cloud.aws
        with mock.patch.dict("os.environ", aws.environment(aws.root)):
            answer = Client(self.deployment.output("api_url")).ask("/v1/popular", [("limit", 100)])
        return [item["id"] for item in answer.json["items"]]

    def log(self) -> str:
        return self.deployment.cloud.aws.function_logs(self.deployment.function("catalog_refresh")[0])


@pytest.fixture
def shop(run_folder: Path) -> Iterator[Shop]:
    with running_services(run_folder, "us-east-1") as cloud:
        deployment = deploy(cloud, read_stack("dev", {**QUICK, "catalogue.minutes": 1}))
        shop, made = Shop(deployment), world(V1)
        execute(shop.login, [TABLES["products"]])
        shop.put(*made.item_ids)
        with Streaming(deployment) as streaming:
            made.publish(cloud.client("s3"), deployment.output("ml_artifacts_bucket"))
            streaming.wait_for_load(V1)
            yield shop


def test_a_product_put_into_the_database_is_answered_by_the_api_at_the_next_refresh(shop: Shop) -> None:
    assert shop.similar("NEW")[0] == 404
    shop.put("NEW")
    shop.put("I59", stock=0)
    refreshed = len(shop.deployment.cloud.schedules.runs)
    wait_until(lambda: "NEW" in shop.popular(), seconds=60)
    assert "I59" not in shop.popular()
    status, items = shop.similar("NEW")
    assert (status, len(items) > 0) == (200, True), shop.log()
    assert shop.popular()[-1] == "NEW", "nobody has bought it yet"
    runs = [result for _, result in shop.deployment.cloud.schedules.runs[refreshed:]]
    assert runs[-1].error is None, json.dumps(runs[-1].response)
