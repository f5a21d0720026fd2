"""Versions that must not become active: the good one before them is served on, and nothing of them is left.

PostgreSQL, the loader and inference are real; what is wrong with a version is what attackers and accidents did to one.
"""

import pytest

from contracts.artifacts import USER_TOWER, ManifestError
from functions.embedding_loader import trial
from functions.embedding_loader.trial import TrialError
from functions.shared import versions
from functions.shared.serving.graph import ModelError
from tests.functions import graph_edits
from tests.functions.bad_versions import BAD, GOOD, ROWS, Row, publish, tower
from tests.functions.conftest import Store, versions_of
from tests.functions.lambdas import act, infer, load, request
from tests.functions.worlds import world


@pytest.mark.parametrize("case", ROWS)
def test_a_version_that_cannot_be_served_does_not_become_active(case: str, store: Store) -> None:
    store.serve(world(GOOD))
    publish(store, ROWS[case])
    with pytest.raises((ManifestError, ModelError, TrialError), match=ROWS[case].message):
        load(store.bucket, BAD)
    assert act("status") == {"active": GOOD, "loaded": [GOOD], "pinned": []}
    assert versions_of(store.connection) == [versions.schema_name(GOOD)]
    answer = infer(request(customer_number=100, items=["I1"]))
    assert answer["model_version"] == GOOD
    assert answer["responses"][0]["recommended_items"]


def test_a_tower_that_would_take_inferences_whole_time_does_not_become_active(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.serve(world(GOOD))
    monkeypatch.setattr(trial, "TOWER_SECONDS", 0.1)
    publish(store, tower(graph_edits.slow))
    with pytest.raises(TrialError, match="user tower: expected 32 vectors in"):
        load(store.bucket, BAD)
    assert act("status")["active"] == GOOD


def test_the_version_that_the_table_changes_is_a_good_one(store: Store) -> None:
    publish(store, Row(""))
    assert load(store.bucket, BAD)["active"] == BAD


def test_a_version_whose_tower_went_bad_after_the_load_is_not_activated(store: Store) -> None:
    store.serve(world(BAD), world(GOOD))
    store.s3.put_object(Bucket=store.bucket, Key=f"{BAD}/{USER_TOWER}", Body=b"garbage")
    with pytest.raises(ManifestError, match="expected sha256"):
        act("activate", version=BAD)
    assert act("status")["active"] == GOOD
