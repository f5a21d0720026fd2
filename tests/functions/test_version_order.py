"""The order of versions: which becomes active, which are kept, and which are dropped."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from contracts.artifacts import (
    ManifestError,
    new_version,
)
from functions.embedding_loader import handler as loader
from functions.shared import versions
from functions.shared.versions import UnknownVersionError
from tests.functions.conftest import Store, versions_of
from tests.functions.lambdas import act, load
from tests.functions.worlds import world

V = [f"2026110{day}T000000Z-00000{day}" for day in range(1, 8)]


def test_a_version_loaded_twice_changes_nothing_also_after_a_rollback(store: Store) -> None:
    for version in V[:2]:
        world(version).publish(store.s3, store.bucket)
        assert load(store.bucket, version)["loaded_now"]
    act("activate", version=V[0])
    again = load(store.bucket, V[1])
    assert again == {"loaded_now": False, "active": V[0], "loaded": V[:2], "pinned": []}


def _next_second() -> None:
    """S3 tells no more than the second in which an object came."""
    time.sleep(1.01 - time.time() % 1)


def test_an_event_that_comes_late_loads_its_version_and_does_not_switch_to_it(store: Store) -> None:
    world(V[1]).publish(store.s3, store.bucket)
    _next_second()
    store.serve(world(V[0]))
    load(store.bucket, V[1])
    assert act("status") == {"active": V[0], "loaded": [V[1], V[0]], "pinned": []}


def test_what_is_published_last_becomes_active_whatever_its_name(store: Store) -> None:
    same_second = ["20261110T000000Z-bbbbbb", "20261110T000000Z-aaaaaa", "20261109T235959Z-cccccc"]
    for version in same_second:
        store.serve(world(version))
        assert act("status")["active"] == version


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("20990101T000000Z-aaaaaa", "expected one made by now"),
        ("٢٠٢٦١١٠١T٠٠٠٠٠٠Z-aaaaaa", "expected one such as"),
        ("20261301T000000Z-aaaaaa", "does not match format"),
    ],
)
def test_a_version_of_the_future_or_of_no_date_is_refused(version: str, message: str, store: Store) -> None:
    store.serve(world(V[0]))
    content = world(V[0]).manifest().to_json().replace(V[0], version).encode()
    store.s3.put_object(Bucket=store.bucket, Key=f"{version}/manifest.json", Body=content)
    with pytest.raises((ManifestError, loader.EventError), match=message):
        load(store.bucket, version)
    assert act("status")["active"] == V[0]


def test_a_clock_that_is_a_little_ahead_is_let_pass(store: Store) -> None:
    version = new_version(datetime.now(UTC) + timedelta(minutes=10))
    store.serve(world(version))
    assert act("status")["active"] == version


def test_versions_are_dropped_but_never_a_good_one(store: Store) -> None:
    """Issue 13: V1, good, is rolled back to from V3; the next version is bad, and V1 must still be there."""
    store.serve(*map(world, V[:3]))
    act("activate", version=V[0])
    store.serve(world(V[3]))
    assert act("status") == {"active": V[3], "loaded": V[:4], "pinned": []}, "V2 and V3 are the newest beside it"
    assert act("activate", version=V[0])["active"] == V[0]
    store.serve(world(V[4]), world(V[5]), world(V[6]))
    assert act("status")["loaded"] == V[4:], "the newest are also those that were active last"
    assert versions_of(store.connection) == [versions.schema_name(version) for version in V[4:]]
    with pytest.raises(UnknownVersionError, match=V[0]):
        act("activate", version=V[0])


def test_a_pinned_version_stays(store: Store) -> None:
    store.serve(world(V[0]))
    assert act("pin", version=V[0])["pinned"] == [V[0]]
    store.serve(*map(world, V[1:5]))
    assert act("status")["loaded"] == [V[0], *V[2:5]]
    act("unpin", version=V[0])
    store.serve(world(V[5]))
    assert act("status")["loaded"] == V[3:6]
    with pytest.raises(UnknownVersionError, match="no-such"):
        act("pin", version="no-such")


def test_no_version_is_loaded_and_dropped_in_one_call(store: Store) -> None:
    """Five versions, published one after the other, of which the first one's event comes last."""
    world(V[0]).publish(store.s3, store.bucket)
    _next_second()
    store.serve(*map(world, V[1:5]))
    assert V[0] in load(store.bucket, V[0])["loaded"]
    assert act("status")["active"] == V[4]


def test_a_registry_of_an_earlier_release_is_taken_over(store: Store) -> None:
    store.serve(*map(world, V[:2]))
    store.connection.execute("ALTER TABLE recommender.model_version DROP published_at, DROP activated_at, DROP pinned")
    assert act("status") == {"active": V[1], "loaded": V[:2], "pinned": []}
    _next_second()
    store.serve(world(V[2]))
    assert act("status")["active"] == V[2]
