"""Faults of model versions around inference: they switch or go under load, or cannot be served any more."""

import hashlib
import itertools
import threading
import time
from typing import Any

import pytest
from psycopg import sql

from contracts.artifacts import USER_TOWER
from functions.embedding_loader import retention
from functions.shared import versions
from functions.shared.serving import inference as warm
from functions.shared.serving.graph import ModelError
from functions.shared.serving.store import Store as Tables
from functions.shared.versions import NoActiveVersionError
from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, act, ids, infer, load, request
from tests.functions.worlds import expected_user_vector, user_tower, world

V = [f"2026110{day}T000000Z-00000{day}" for day in range(1, 3)]


def test_before_the_first_version_inference_fails_and_says_so(store: Store) -> None:
    with pytest.raises(NoActiveVersionError, match="no model version is active"):
        infer(request())
    act("status")
    with pytest.raises(NoActiveVersionError):
        infer(request())


@pytest.mark.parametrize("before", ["known", "nearest"])
def test_a_version_dropped_in_the_middle_of_a_batch_is_answered_from_the_new_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    for version, seed in ((V[0], 1), (V[1], 2)):
        world(version, seed=seed).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    infer(request())
    look_up = getattr(Tables, before)

    def dropped_before(self: Tables, *given: Any) -> Any:
        if self._version == V[0] and act("status")["active"] == V[0]:
            load(store.bucket, V[1])
            monkeypatch.setattr(retention, "VERSIONS_KEPT", 1)
            monkeypatch.setattr(retention, "ACTIVE_BEFORE_KEPT", 0)
            assert retention.drop_old(store.connection) == [V[0]]
        return look_up(self, *given)

    monkeypatch.setattr(Tables, before, dropped_before)
    answer = infer(request(customer_number=100, items=["I1"]))
    assert answer["model_version"] == V[1]
    shop = world(V[1], seed=2)
    recent = dict.fromkeys(["I1", *shop.recent["100"]])
    vector = expected_user_vector([shop.vector(item) for item in recent])
    assert ids(answer["responses"][0]) == shop.best(vector, LIMIT, ["I1"])


def test_switches_and_rollbacks_under_load_lose_no_answer_and_mix_no_versions(store: Store) -> None:
    """The two versions hold different items, so that an answer made of both would show."""
    for version, prefix in ((V[0], "A"), (V[1], "B")):
        shop = world(version)
        named = world(version, item_ids=[prefix + id_ for id_ in shop.item_ids], recent={})
        store.serve(named)
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for version in V[:2]:
                act("activate", version=version)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        seen: list[str] = []
        until = time.monotonic() + 30
        # Until the pointer was seen to move often, and there and back.
        while sum(a != b for a, b in itertools.pairwise(seen)) < 8 and time.monotonic() < until:
            answer = infer(*[request(str(n), customer_number=100 + n) for n in range(5)], request("none"))
            prefix = {V[0]: "A", V[1]: "B"}[answer["model_version"]]
            for response in answer["responses"]:
                assert len(response["recommended_items"]) == LIMIT
                assert all(item["id"].startswith(prefix) for item in response["recommended_items"])
            seen.append(prefix)
    finally:
        stop.set()
        thread.join()
    assert set(seen) == {"A", "B"}


def test_a_model_file_that_was_replaced_is_not_run(store: Store) -> None:
    store.serve(world(V[0]))
    store.s3.put_object(Bucket=store.bucket, Key=f"{V[0]}/model/user_tower.onnx", Body=user_tower(4))
    with pytest.raises(ValueError, match="expected sha256"):
        infer(request())


def _spoil(store: Store, version: str) -> None:
    """A tower that the loader did not see: it is replaced after the switch, with a manifest that says so."""
    content = b"garbage"
    digest = hashlib.sha256(content).hexdigest()
    store.s3.put_object(Bucket=store.bucket, Key=f"{version}/{USER_TOWER}", Body=content)
    store.connection.execute(
        "UPDATE recommender.model_version SET manifest = regexp_replace(manifest, %s, %s) WHERE version = %s",
        (f'"{USER_TOWER}": "[0-9a-f]+"', f'"{USER_TOWER}": "{digest}"', version),
    )


def _two_versions(store: Store) -> None:
    store.serve(world(V[0], seed=1), world(V[1], seed=2))


@pytest.mark.parametrize("warm_up", [False, True])
def test_where_the_active_version_cannot_be_served_the_last_one_is_and_an_alarm_rings(
    warm_up: bool, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    _two_versions(store)
    if warm_up:
        act("activate", version=V[0])
        infer(request())
        act("activate", version=V[1])
    _spoil(store, V[1])
    for _ in range(2):
        answer = infer(request(customer_number=100, items=["I1"]))
        assert answer["model_version"] == V[0]
        assert len(answer["responses"][0]["recommended_items"]) == LIMIT
    assert capsys.readouterr().out.count('"VersionFallbacks":[1.0]') == 2


def test_a_version_that_was_mended_is_served_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_versions(store)
    tables = versions.tables(V[1]).items
    store.connection.execute(sql.SQL("ALTER TABLE {} RENAME TO hidden").format(tables))
    asked = request(items=["I1"])
    assert infer(asked)["model_version"] == V[0]
    hidden = sql.Identifier(versions.schema_name(V[1]), "hidden")
    store.connection.execute(sql.SQL("ALTER TABLE {} RENAME TO items").format(hidden))
    assert infer(asked)["model_version"] == V[0], "it is left alone for a while"
    monkeypatch.setattr(time, "monotonic", lambda real=time.monotonic: real() + warm.AVOIDED_SECONDS)
    assert infer(asked, seconds=60)["model_version"] == V[1]


def test_where_no_version_can_be_served_the_active_ones_reason_is_told(store: Store) -> None:
    _two_versions(store)
    for version in V[:2]:
        _spoil(store, version)
    with pytest.raises(ModelError, match="cannot load it"):
        infer(request())
