"""The loader: whatever a version holds, it is refused and leaves the good one active, or it can be served."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from contracts.artifacts import MANIFEST, ManifestError
from functions.embedding_loader import handler as loader
from functions.embedding_loader.trial import TrialError
from functions.shared.s3 import ObjectUnavailableError
from functions.shared.serving.graph import ModelError
from functions.shared.versions import UnknownVersionError
from tests.functions.lambdas import Context, act, infer, load, request
from tests.functions.worlds import world
from tests.fuzz import TIMEOUT, for_a_while
from tests.fuzz.services import BUCKET, vector_store
from tests.fuzz.values import JSON, TEXTS

pytestmark = pytest.mark.timeout(TIMEOUT)

GOOD, NEW = "20261101T000000Z-000001", "20261102T000000Z-%06x"
SHOP = world("", seed=2)
FILES = SHOP.files()
EXPECTED = (ManifestError, ModelError, TrialError, ObjectUnavailableError)

PLACES = st.sampled_from(["version", "dim", "similarity", "counts", "dataset", "metrics", "norms", "files"])
BYTES = st.tuples(st.sampled_from(sorted(FILES)), st.floats(0, 1), st.binary(max_size=8))
"""A file, a place in it, and what is written there."""
LINES = st.tuples(st.sampled_from([name for name in FILES if name.endswith(".csv")]), st.floats(0, 1), TEXTS)
"""A csv file, a line of it, and what comes in its place."""
VERSION = st.fixed_dictionaries(
    {"bytes": st.lists(BYTES, max_size=2), "lines": st.lists(LINES, max_size=2), "manifest": st.just({})}
) | st.fixed_dictionaries(
    {"bytes": st.just([]), "lines": st.just([]), "manifest": st.dictionaries(PLACES, JSON, min_size=1, max_size=2)}
)
EVENT = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"action": st.sampled_from(["activate", "pin", "unpin", "status"])}, optional={"version": JSON}
    ),
    st.fixed_dictionaries(
        {"detail": st.fixed_dictionaries({"bucket": st.just({"name": BUCKET}), "object": st.dictionaries(TEXTS, JSON)})}
    ),
    TEXTS.map(lambda key: {"detail": {"bucket": {"name": BUCKET}, "object": {"key": f"{key}/{MANIFEST}"}}}),
)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with vector_store() as client:
        world(GOOD).publish(client, BUCKET)
        load(BUCKET, GOOD)
        yield client


def test_whatever_a_version_holds_it_can_be_served_or_is_refused(s3: Any) -> None:
    tries = itertools.count(1)
    assert for_a_while(VERSION, lambda changes: _check_version(s3, NEW % next(tries), changes))


def test_whatever_an_event_holds_the_good_version_stays(s3: Any) -> None:
    assert for_a_while(EVENT, _check_event)


def _check_version(s3: Any, version: str, changes: Mapping[str, Any]) -> None:
    _publish(s3, version, changes)
    try:
        load(BUCKET, version)
    except EXPECTED:
        assert act("status")["active"] == GOOD
        return
    answer = infer(*[request(str(n), items=[item], customer_number=100 + n) for n, item in enumerate(SHOP.item_ids)])
    assert answer["model_version"] == version
    assert all(response["recommended_items"] for response in answer["responses"])
    act("activate", version=GOOD)


def _publish(s3: Any, version: str, changes: Mapping[str, Any]) -> None:
    files = dict(FILES)
    for name, where, what in changes["bytes"]:
        content, place = files[name], int(where * len(files[name]))
        files[name] = content[:place] + what + content[place + len(what) :]
    for name, where, what in changes["lines"]:
        lines = files[name].split(b"\n")
        lines[int(where * (len(lines) - 1))] = what.encode(errors="ignore")
        files[name] = b"\n".join(lines)
    manifest = json.loads(SHOP.manifest(files, version).to_json()) | changes["manifest"]
    for name, content in files.items():
        s3.put_object(Bucket=BUCKET, Key=f"{version}/{name}", Body=content)
    s3.put_object(Bucket=BUCKET, Key=f"{version}/{MANIFEST}", Body=json.dumps(manifest).encode())


def _check_event(event: Any) -> None:
    try:
        loader.handler(event, Context(60))
    except (loader.EventError, UnknownVersionError, *EXPECTED):
        pass
    assert act("activate", version=GOOD)["active"] == GOOD
