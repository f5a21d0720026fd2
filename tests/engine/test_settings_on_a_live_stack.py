"""Each setting, changed on a stack that lives: what it replaces, and that nothing that holds data goes unannounced."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, is_typeddict

import pytest
from pulumi.automation import CommandError

import settings
from components.api_settings import API_DEFAULTS
from components.batch_pipeline import BATCH_DEFAULTS
from components.catalog_refresh import CATALOG_REFRESH_DEFAULTS
from components.common import COMMON_DEFAULTS
from components.network import NETWORK_DEFAULTS
from components.source_settings import SOURCE_DEFAULTS
from components.stream_settings import STREAM_DEFAULTS
from components.vector_settings import VECTOR_STORE_DEFAULTS
from emulator.program import ROOT, read_stack
from tests.engine.cloud import DATABASE, INVOCATION, KEY, Call
from tests.engine.resource_types import HOLDS_DATA
from tests.engine.stacks import Change, EngineStack, running
from tests.engine.updates import DELIVERY, SUBNETS

DEFAULTS = {
    "common": COMMON_DEFAULTS,
    "network": NETWORK_DEFAULTS,
    "source": SOURCE_DEFAULTS,
    "batch": BATCH_DEFAULTS,
    "vectors": VECTOR_STORE_DEFAULTS,
    "stream": STREAM_DEFAULTS,
    "api": API_DEFAULTS,
    "catalogue": CATALOG_REFRESH_DEFAULTS,
}

CHANGED: dict[str, Any] = {
    "common.log_retention_days": 30,
    "common.tags": {"team": "shop"},
    "network.interface_endpoints": ["secretsmanager"],
    "source.instance_class": "db.t4g.small",
    "batch.worker_type": "G.2X",
    "batch.schedule": "cron(0 3 * * ? *)",
    "vectors.instance_class": "db.t4g.small",
    "stream.expire_days": 90,
    "api.authorization": "api_key",
    "api.cors_origins": ["https://shop.example.com"],
    "monitoring.email": "shop@example.com",
    "monitoring.database_max_connections": 100,
}
"""Other values of settings, where a number that is one larger, or the other of true and false, is none."""

REPLACES: dict[str, tuple[Any, set[str]]] = {
    "source.sample_shop_seed": (2, {INVOCATION}),
    "stream.delivery": ("event_source", {DELIVERY}),
    "stream.shards": (0, set()),
    "catalogue.enabled": (False, set()),
    "customer_managed_key": (True, {DATABASE, INVOCATION}),
    "network.cidr_block": ("10.50.0.0/16", {DATABASE, SUBNETS, INVOCATION}),
}
"""Setting → the resources that hold data, deliver or seed, and that a change on the dev stack replaces. Other settings
replace nothing."""

REFUSED: dict[str, tuple[Any, Any, str, str]] = {
    "vectors.storage_gb": (100, 40, "vectors-postgres", "storage_gb: expected at least 100"),
    "source.storage_gb": (40, 20, "source-mysql", "storage_gb: expected at least 40"),
    "vectors.backup_retention_days": (7, 0, "vectors-postgres", "backup_retention_days: expected 1 or more, got 0"),
    "network.zones": (3, 2, "vectors-subnets", "zones: expected at least 3"),
    "stream.backup_source": (True, False, "stream-delivery", "backup_source: expected true"),
    "stream.shards": (2, 5, "stream-events", "shards: expected 1 to 4"),
}
"""Changes that AWS would not make, or that lose data: from, to, the resource that stays, and what the program says."""

NOT_ALONE = {
    "dataset_file": "another shop's data, by the etl's own tests",
    "common.kms_key_arn": "set by `customer_managed_key`",
    "common.bundle_dependencies": "the local run's",
    "network.vpc_id": "with `subnet_ids`, below",
    "network.subnet_ids": "with `vpc_id`, below",
    "source.host": "with the login, below",
    "source.port": "with the host",
    "source.username": "with the host",
    "source.password": "with the host",
    "source.database": "another schema of the source: nothing of the stack's own",
    "source.options": "with the host",
    "api.jwt_issuer": "with `authorization: jwt`, which the component's own tests set",
    "api.jwt_audience": "with the issuer",
    "api.domain_name": "with `certificate_arn`, which the component's own tests set",
    "api.certificate_arn": "with the domain",
    "api.hosted_zone_id": "with the domain",
    "source.trial": "made or not made, as is the sample shop",
    "source.sample_shop": "made or not made",
}
"""Settings that are not changed one by one, and why."""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStack]:
    with running(tmp_path_factory.mktemp("dev"), "dev") as stack:
        stack.up()
        yield stack


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStack]:
    with running(tmp_path_factory.mktemp("prod"), "prod") as stack:
        stack.up()
        yield stack


def replaced(changes: list[Change]) -> set[str]:
    return {change.type for change in changes if change.operation in ("replace", "delete")}


def changes_of_the_others() -> dict[str, Any]:
    """Another value than dev's for each setting that replaces nothing."""
    dev = {key: json.loads(text) for key, text in read_stack("dev").config.items() if text.startswith("{")}
    changes: dict[str, Any] = {}
    for key, shape in settings.KEYS.items():
        now = {**DEFAULTS.get(key, {}), **dev.get(f"recommender:{key}", {})}
        for name in shape.__annotations__ if is_typeddict(shape) else ():
            setting = f"{key}.{name}"
            if setting in CHANGED:
                changes[setting] = CHANGED[setting]
            elif setting not in {*REPLACES, *NOT_ALONE}:
                changes[setting] = not now[name] if isinstance(now[name], bool) else now[name] + 1
    return changes


def test_every_setting_exists() -> None:
    names = {f"{key}.{name}" for key, shape in settings.KEYS.items() for name in getattr(shape, "__annotations__", ())}
    assert {*CHANGED, *REPLACES, *NOT_ALONE} <= names | {*settings.KEYS}


def test_the_other_settings_replace_and_delete_nothing(dev: EngineStack) -> None:
    dev.configure(changes_of_the_others() | {"stream.shards": 2})
    assert replaced(dev.preview()) == set()


@pytest.mark.parametrize("setting", REPLACES)
def test_a_setting_replaces_what_the_table_says(dev: EngineStack, setting: str) -> None:
    value, expected = REPLACES[setting]
    dev.configure({setting: value})
    watched = HOLDS_DATA | {DELIVERY, INVOCATION, SUBNETS}
    assert replaced(dev.preview()) & watched == expected


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"customer_managed_key": False}, "key-key"),
        ({"network.cidr_block": "10.50.0.0/16"}, "vectors-postgres"),
        ({"network.vpc_id": "vpc-theirs", "network.subnet_ids": ["subnet-a", "subnet-b"]}, "vectors-postgres"),
    ],
)
def test_a_stack_that_keeps_its_data_refuses_what_would_replace_it(
    prod: EngineStack, changed: dict[str, Any], kept: str
) -> None:
    prod.configure(changed)
    with pytest.raises(CommandError, match=f"(?s){kept}.*cannot be (deleted|replaced)|unable to replace.*{kept}"):
        prod.preview()


def test_a_key_for_a_live_stack_is_refused_and_possible_in_two_steps(new_stack: Callable[..., EngineStack]) -> None:
    stack = new_stack("prod")
    without_key = {"customer_managed_key": False}
    stack.configure(without_key)
    stack.up()
    stack.cloud.forget_calls()

    stack.configure({})
    with pytest.raises(CommandError, match="unable to replace"):
        stack.preview()

    stack.configure({**without_key, "vectors.deletion_protection": False})
    stack.up()
    stack.configure({"vectors.deletion_protection": False})
    stack.up()
    key = stack.cloud.one(KEY).outputs["arn"]
    database = stack.cloud.one(DATABASE, "vectors")
    assert database.inputs["kmsKeyId"] == key
    assert len(stack.cloud.invoked) == 1, "the new database gets its IAM user"
    assert list(stack.cloud.snapshots.values()) == [None], "the old one leaves its last snapshot"


def test_what_is_refused_is_documented() -> None:
    section = (ROOT / "docs" / "deploying.md").read_text().partition("## What a live stack refuses")[2]
    rows = [line for line in section.partition("\n\nWhat would")[0].splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+\.\w+)`", " ".join(row.split("|")[1] for row in rows))) == REFUSED.keys()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStack]:
    """A stack with a trial source, and with all that `REFUSED` starts from."""
    with running(tmp_path_factory.mktemp("grown"), "dev") as stack:
        stack.configure(GROWN)
        stack.up()
        stack.cloud.forget_calls()
        yield stack


GROWN = {"vectors.deletion_protection": True, **{setting: before for setting, (before, *_) in REFUSED.items()}}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_aws_does_not_take_back_is_refused_before_anything_changes(grown: EngineStack, setting: str) -> None:
    _, after, resource, message = REFUSED[setting]
    grown.configure({**GROWN, setting: after})
    with pytest.raises(CommandError, match=message) as refused:
        grown.preview()
    assert "Traceback" not in str(refused.value)
    with pytest.raises(CommandError, match=message):
        grown.up()  # the Automation API's, which has no preview
    assert resource not in grown.cloud.called("update")
    assert grown.cloud.called("delete") == []
    grown.configure(GROWN)
    grown.up()


def test_backups_are_given_up_together_with_the_protection(new_stack: Callable[..., EngineStack]) -> None:
    stack = new_stack("prod")
    stack.up()
    stack.configure({"vectors.backup_retention_days": 0, "vectors.deletion_protection": False})
    stack.up()
    assert stack.cloud.one(DATABASE, "vectors").inputs["backupRetentionPeriod"] == 0


def test_the_old_way_in_works_until_the_delivery_stream_reads_by_itself(new_stack: Callable[..., EngineStack]) -> None:
    stack = new_stack("dev")
    stack.configure({"stream.delivery": "event_source"})
    stack.up()
    stack.cloud.forget_calls()
    stack.configure({"stream.delivery": "firehose_transform"})
    stack.up()
    made = stack.cloud.calls.index(Call("create", DELIVERY, "stream-delivery"))
    before = {call.name for call in stack.cloud.calls[:made] if call.verb != "create"}
    assert not {name for name in before if name.startswith("stream-event")}, "nothing of the old way in has changed"
    ends = stack.cloud.called("delete")
    assert ends.index("stream-event-source") < ends.index("stream-event-transformation-policy")
    assert ends.index("stream-event-source") < ends.index("stream-delivery")
    assert len(stack.cloud.of(DELIVERY)) == 1
