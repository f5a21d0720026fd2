"""The loader: what it refuses, and that the active version is served whatever happens to it."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from contracts.artifacts import (
    ITEM_CATALOG,
    ITEM_EMBEDDINGS,
    MAX_SIMILAR_ITEMS,
    USER_CATALOG,
    ManifestError,
)
from functions.embedding_loader import handler as loader
from functions.embedding_loader import load as loading
from functions.shared import loader_lock, versions
from functions.shared.database import connect
from functions.shared.versions import UnknownVersionError
from tests.functions.conftest import Store, versions_of
from tests.functions.lambdas import act, infer, load, request
from tests.functions.worlds import DIM, World, world

V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"


def _with_files(shop: World, s3: Any, bucket: str, files: dict[str, bytes], n_items: int | None = None) -> None:
    """Publishes the version with other files, and a manifest that names just these."""
    manifest = shop.manifest({**shop.files(), **files})
    shop.publish(s3, bucket, replace(manifest, n_items=n_items or manifest.n_items))
    for name, content in files.items():
        s3.put_object(Bucket=bucket, Key=f"{shop.version}/{name}", Body=content)


GOOD_ROW = json.dumps([0.5] * DIM)
MISTAKES: dict[str, tuple[str, str | bytes, str]] = {
    "not_a_number": (ITEM_EMBEDDINGS, f'id,embedding\na,"{GOOD_ROW}"\nb,"[1,x]"\n', "row 2: expected 8 finite"),
    "another_dimension": (ITEM_EMBEDDINGS, 'id,embedding\na,"[1,2]"\n', "row 1: expected 8 finite .* found 2"),
    "not_finite": (ITEM_EMBEDDINGS, f'id,embedding\na,"{json.dumps([1e39] * DIM)}"\n', "row 1: .* not finite"),
    "nan": (ITEM_EMBEDDINGS, f'id,embedding\na,"{json.dumps([float("nan")] * DIM)}"\n', "row 1: expected 8 finite"),
    "no_direction": (ITEM_EMBEDDINGS, f'id,embedding\na,"{json.dumps([0] * DIM)}"\n', "row 1: .* only zeros"),
    "two_lists": (ITEM_EMBEDDINGS, f'id,embedding\na,"{GOOD_ROW},{GOOD_ROW}"\nb,""\n', "row 1: expected 8 finite"),
    "repeated_id": (ITEM_EMBEDDINGS, f'id,embedding\na,"{GOOD_ROW}"\na,"{GOOD_ROW}"\n', "every id once, found 1"),
    "empty_id": (ITEM_EMBEDDINGS, f'id,embedding\n,"{GOOD_ROW}"\nb,"{GOOD_ROW}"\n', "row 1: expected an id"),
    "too_few_rows": (ITEM_EMBEDDINGS, f'id,embedding\na,"{GOOD_ROW}"\n', "expected 2 rows.* found 1"),
    "other_columns": (ITEM_EMBEDDINGS, 'item,vector\na,"[1]"\n', "expected the columns id,embedding"),
    "a_value_too_many": (ITEM_EMBEDDINGS, f'id,embedding\na,"{GOOD_ROW}",1\n', "row 1: expected 2 values, found 3"),
    "not_utf8": (ITEM_EMBEDDINGS, b"id,embedding\n\xff\n", "expected csv in UTF-8"),
    "stock": (ITEM_CATALOG, "id,in_stock,popularity\nI0,yes,1\n", "in_stock: expected true or false, found 'yes'"),
    "popularity": (ITEM_CATALOG, "id,in_stock,popularity\nI0,true,-1\n", "popularity: expected a number"),
    "attributes": (
        ITEM_CATALOG,
        "id,in_stock,popularity,attributes\nI0,true,1,[1]\n",
        "row 1: attributes: expected a JSON",
    ),
    "recent": (USER_CATALOG, 'id,recent_items\n100,"{}"\n', "recent_items: expected a JSON list"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_version_with_a_mistake_is_refused_before_the_database_is_touched(mistake: str, store: Store) -> None:
    name, content, message = MISTAKES[mistake]
    content = content if isinstance(content, bytes) else content.encode()
    n_items = 2 if name == ITEM_EMBEDDINGS else None
    _with_files(world(V1), store.s3, store.bucket, {name: content}, n_items)
    with pytest.raises(ManifestError, match=message):
        load(store.bucket, V1)
    assert versions_of(store.connection) == []


def test_a_file_that_is_not_the_published_one_is_refused(store: Store) -> None:
    shop = world(V1)
    for stem, content in (("items", b"id,in_stock,popularity\n"), ("user_tower", b"another model")):
        shop.publish(store.s3, store.bucket, changed={stem: content})
        with pytest.raises(ManifestError, match="expected sha256"):
            load(store.bucket, V1)


def test_all_of_a_version_is_in_the_database(store: Store) -> None:
    shop = world(V1, n_items=300, n_users=50, out_of_stock=frozenset({"I1", "I2"}), with_similar=True)
    shop = replace(shop, item_ids=[*shop.item_ids[:-3], 'q"uo,te', "ünï", "x" * 300])
    store.serve(shop)
    schema = versions.schema_name(V1)

    def rows(query: str) -> dict[str, Any]:
        found = store.connection.execute(query.format(s=schema)).fetchall()
        return {row[0]: row[1:] if len(row) > 2 else row[1] for row in found}

    items = rows("SELECT id, embedding::text, in_stock FROM {s}.items")
    assert set(items) == set(shop.item_ids)
    assert np.allclose([json.loads(items[id_][0]) for id_ in shop.item_ids], shop.items, atol=1e-6)
    assert {id_ for id_, (_, in_stock) in items.items() if not in_stock} == shop.out_of_stock
    users = rows("SELECT id, embedding::text FROM {s}.users")
    assert np.allclose([json.loads(users[user]) for user in shop.user_ids], shop.users, atol=1e-6)
    assert rows("SELECT user_id, item_ids FROM {s}.recent_items") == shop.recent
    texts = rows("SELECT id, nearest FROM {s}.similar_items")
    similar = {id_: [near for near, _ in json.loads(text)] for id_, text in texts.items()}
    hits = [len(set(similar[i]) & set(shop.best(shop.vector(i), MAX_SIMILAR_ITEMS, [i]))) for i in shop.item_ids]
    # Half of the lists are the version's own, the others the load has searched for.
    assert {id_: json.loads(texts[id_]) for id_ in shop.item_ids[::2]} == {
        id_: [list(near) for near in shop.similar(id_)] for id_ in shop.item_ids[::2]
    }
    assert sum(hits) >= 0.99 * MAX_SIMILAR_ITEMS * len(shop.item_ids)
    popular = rows("SELECT rank, id FROM {s}.popular_items ORDER BY rank")
    assert list(popular.values()) == list(reversed(shop.item_ids)), "also those that are sold out and may come back"


@pytest.mark.parametrize("stage", ["_copy", "_set_build_memory", "_POPULAR", "_SIMILAR", "switch"])
def test_a_loader_killed_at_any_stage_leaves_the_active_version_and_is_run_again(
    stage: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (V1, V2):
        world(version).publish(store.s3, store.bucket)
    load(store.bucket, V1)

    def kill(*_: object) -> None:
        """The function's end: its connection is cut from the server's side, in the middle of the transaction."""
        store.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'recommender' AND pid <> pg_backend_pid()"
        )

    with monkeypatch.context() as patch:
        if stage == "switch":
            patch.setattr(versions, "switch", kill)
        elif stage in ("_POPULAR", "_SIMILAR"):
            run = loading._run
            statements = getattr(loading, stage)
            patch.setattr(loading, "_run", lambda c, s, m: kill() if s == statements else run(c, s, m))
        else:
            patch.setattr(loading, stage, kill)
        with pytest.raises(psycopg.OperationalError):
            load(store.bucket, V2)
    assert act("status") == {"active": V1, "loaded": [V1], "pinned": []}
    assert versions_of(store.connection) == [versions.schema_name(V1)]
    assert infer(request(customer_number=100))["model_version"] == V1
    assert load(store.bucket, V2)["active"] == V2


def test_of_two_loaders_at_once_one_waits_and_finds_the_work_done(store: Store) -> None:
    store.serve(world(V1))
    world(V2).publish(store.s3, store.bucket)
    results: list[Any] = []
    with connect(store.database) as other, loader_lock.one_at_a_time(other):
        threads = [threading.Thread(target=lambda: results.append(load(store.bucket, V2))) for _ in range(2)]
        for thread in threads:
            thread.start()
        _wait_for(store, "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        assert versions_of(store.connection) == [versions.schema_name(V1)]
    for thread in threads:
        thread.join(60)
    assert sorted(result["loaded_now"] for result in results) == [False, True]
    assert act("status") == {"active": V2, "loaded": [V1, V2], "pinned": []}


def _wait_for(store: Store, query: str) -> None:
    until = time.monotonic() + 30
    while not store.connection.execute(query).fetchall()[0][0]:
        assert time.monotonic() < until, query
        time.sleep(0.02)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"action": "drop"},
        {"action": "activate"},
        {"detail": {"bucket": {"name": "another"}, "object": {"key": f"{V1}/manifest.json"}}},
        {"detail": {"bucket": {"name": "artifacts"}, "object": {"key": "manifest.json"}}},
    ],
)
def test_an_event_that_is_no_manifest_and_no_action_is_refused(event: dict[str, Any], store: Store) -> None:
    from tests.functions.lambdas import Context

    with pytest.raises((loader.EventError, UnknownVersionError), match="expected"):
        loader.handler(event, Context())
