"""Tries a version before it is switched to: runs its towers, and answers a batch through the code that serves.

It needs no other function: the loader's subnets reach the database and S3 only (docs/adr/0011).
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from psycopg import sql

from contracts.artifacts import MAX_LENGTH, MAX_RECENT_ITEMS, MIN_LENGTH, NORMS_FACTOR, Manifest, has_length
from contracts.columns import Column
from contracts.events import CUSTOMER, IN_CART, MAX_HISTORY, PRODUCT, Strategy
from functions.shared import versions
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import Connection
from functions.shared.serving import connections, store
from functions.shared.serving.recommend import recommend
from functions.shared.serving.requests import read_request
from functions.shared.serving.tower import ItemTower, UserTower, load_item_tower, load_model
from functions.shared.vectors import Vectors

TRIED_USERS, TRIED_ITEMS = 100, MAX_HISTORY
TRIED_SIMILAR = 20
"""Items whose similar items' distances are computed again from the vectors."""
LIMIT = 10
AGREEMENT = 1e-3
"""The most that a tower's vector may differ, relative to its length, between a run alone and one in a batch."""
COSINE_ROUNDING = 1e-3
TOWER_SECONDS = 5.0
"""The most seconds for all cases of the trial, 32 to 112 users; a trained tower runs thousands a second.

Inference cannot break off a run: a tower that takes all of the time gives a batch without an answer, and without a
fallback.
"""

NUMBERS_TRIED = (0, -1, 1_000_000)
UNKNOWN = "no such value"

_SAMPLE = sql.SQL("SELECT id FROM {} LIMIT {}")
_IN_STOCK = sql.SQL("SELECT count(*) FROM {} WHERE in_stock")


class TrialError(ValueError):
    """The version cannot be served; the text says what was asked, what was expected and what came."""


def try_version(connection: Connection, bucket: ArtifactBucket, manifest: Manifest) -> None:
    """Tries a version whose tables are filled.

    Raises `ModelError`, `ManifestError` or `TrialError` where it cannot be served.
    """
    model = load_model(bucket, manifest)
    connections.prepare(connection)
    tables = store.Store(connection, manifest.version, manifest.similarity, manifest.dim, model.serving)
    names = versions.tables(manifest.version)
    users = _ids(connection, names.users, TRIED_USERS)
    items = _ids(connection, names.items, TRIED_ITEMS)
    (in_stock,) = connection.execute(_IN_STOCK.format(names.items)).fetchone() or (0,)
    if not in_stock:
        raise TrialError(f"{manifest.version}: expected items in stock, found none: every answer would be empty")
    _try_similar(tables, items[:TRIED_SIMILAR], manifest)
    if model.tower is not None:
        _try_tower(model.tower, _histories(tables, users, items), manifest)
    item_tower = load_item_tower(bucket, manifest)
    if item_tower is not None:
        _try_item_tower(item_tower, manifest)
    requests = [read_request(request) for request in _requests(model.tower, users, items)]
    answers = recommend(tables, model.tower, requests, LIMIT)
    excluded = tables.excluded_counts(users)
    for request, answer in zip(requests, answers, strict=True):
        left = in_stock - len(request.session) - excluded.get(request.customer or "", 0)
        problem = _problem(answer, left, manifest.similarity)
        if not problem and request.customer in users and answer["strategy"] == Strategy.POPULAR:
            problem = "expected an answer from the customer's vector, found popular items: it has no usable length"
        if problem:
            raise TrialError(f"{manifest.version}: asked for {request.id}: {problem}")


def _ids(connection: Connection, table: sql.Identifier, limit: int) -> list[str]:
    return [id_ for (id_,) in connection.execute(_SAMPLE.format(table, sql.Literal(limit))).fetchall()]


def _histories(tables: store.Store, users: Sequence[str], items: Sequence[str]) -> list[Vectors]:
    """Returns histories to try: of no item, of one, of as many as a tower is given, and the stored users'. Each is
    (n, dim)."""
    recent = [user.recent_items for user in tables.users(users).values()]
    asked = [[], items[:1], items[:MAX_RECENT_ITEMS], *recent]
    known = tables.items(dict.fromkeys((item for history in asked for item in history), False))
    return [tables.unpack([known[item].vector for item in history if item in known]) for history in asked]


def _try_similar(tables: store.Store, items: Sequence[str], manifest: Manifest) -> None:
    """Compares the similar items, which come from a file of the version, with those of the version's own vectors."""
    asked = tables.items(dict.fromkeys(items, True))
    near = tables.items({near.id: False for item in asked.values() for near in item.similar})
    for id_, item in asked.items():
        if not item.similar:
            continue
        own, *others = tables.unpack([item.vector, *(near[other.id].vector for other in item.similar)])
        expected = _distances(own, np.array(others), manifest.similarity)
        found = [other.distance for other in item.similar]
        if not np.allclose(found, expected, rtol=AGREEMENT, atol=AGREEMENT):
            raise TrialError(
                f"{manifest.version}: similar items of {id_!r}: expected distances of {expected.min():g} to"
                f" {expected.max():g}, as the version's vectors are, found {min(found):g} to {max(found):g}"
            )


def _distances(own: Vectors, others: Vectors, similarity: str) -> Vectors:
    """(n,) from a vector (dim,) to others (n, dim), as pgvector's operators compute them."""
    products = others @ own
    if similarity == "cosine":
        return 1 - products / (np.linalg.norm(others, axis=1) * np.linalg.norm(own))  # type: ignore[no-any-return]
    return -products


def _try_tower(tower: UserTower, histories: Sequence[Vectors], manifest: Manifest) -> None:
    """Runs the tower for every history without features, and for a few of them with features."""
    cases: list[tuple[dict[str, Any], Vectors]] = [({}, history) for history in histories]
    cases += [(user, history) for user in _users(tower) for history in histories[:3]]
    users, recent = [user for user, _ in cases], [history for _, history in cases]
    vectors, lengths = _try_run(
        "user tower", lambda some: tower.vectors(users[some], recent[some]), len(cases), manifest
    )
    with_history = np.array([len(history) > 0 for history in recent])
    low, high = manifest.norms.get("users", (MIN_LENGTH * NORMS_FACTOR, np.inf))
    found = lengths[with_history] if tower.has_items else lengths
    if found.min() < low / NORMS_FACTOR or found.max() > high * NORMS_FACTOR:
        raise TrialError(
            f"{manifest.version}: user tower: expected vectors about as long as the stored users', {low:g} to {high:g},"
            f" found {found.min():g} to {found.max():g}"
        )
    distinct = np.unique(vectors[with_history], axis=0)
    if tower.has_items and len(distinct) == 1 and len({history.tobytes() for history in recent if len(history)}) > 1:
        raise TrialError(f"{manifest.version}: user tower: expected vectors that differ, found one for every history")


def _try_item_tower(tower: ItemTower, manifest: Manifest) -> None:
    """Runs the tower for an item of which nothing is known, and for items of values that no training has seen."""
    names = {column.source or column.name: column for column in tower.columns}
    items: list[dict[str, Any]] = [{}]
    items += [{name: _feature(column, value) for name, column in names.items()} for value in NUMBERS_TRIED]
    _, lengths = _try_run("item tower", lambda some: tower.vectors(items[some]), len(items), manifest)
    low = 0.0 if manifest.similarity == "inner_product" else MIN_LENGTH
    high = manifest.norms.get("items", (0.0, MAX_LENGTH / NORMS_FACTOR))[1] * NORMS_FACTOR
    if lengths.min() < low or lengths.max() > high:
        raise TrialError(
            f"{manifest.version}: item tower: expected vectors of lengths {low:g} to {high:g}, as the store takes,"
            f" found {lengths.min():g} to {lengths.max():g}"
        )


def _try_run(name: str, run: Callable[[slice], Vectors], count: int, manifest: Manifest) -> tuple[Vectors, Any]:
    """Runs a tower for `count` cases, and for the first three alone. Returns the vectors and their lengths."""
    start = time.monotonic()
    vectors = run(slice(None))
    seconds = time.monotonic() - start
    if seconds > TOWER_SECONDS:
        raise TrialError(
            f"{manifest.version}: {name}: expected {count} vectors in {TOWER_SECONDS:g} s, it took {seconds:.1f} s"
        )
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not all(has_length(length, "inner_product") for length in lengths):
        raise TrialError(f"{manifest.version}: {name}: expected finite vectors, found lengths up to {lengths.max()}")
    for n in range(3):
        alone = run(slice(n, n + 1))[0]
        if np.abs(alone - vectors[n]).max() > AGREEMENT * max(1.0, lengths[n]):
            raise TrialError(f"{manifest.version}: {name}: expected the same vector alone and among others")
    return vectors, lengths


def _users(tower: UserTower) -> Iterator[dict[str, Any]]:
    """Yields customers as events may describe them: every feature has a value that no training has seen."""
    for value in NUMBERS_TRIED:
        yield {key: _feature(column, value) for key, column in tower.event_features.items()}


def _feature(column: Column, value: int) -> Any:
    if column.part is not None:
        return "2000-02-29"
    return value if column.kind.is_number else f"{UNKNOWN}{column.separator}{value}"


def _requests(tower: UserTower | None, users: Sequence[str], items: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Returns raw requests, as the stream transformation sends them; the id says what they are."""
    yield _request("an empty history")
    yield _request("an unknown customer", customer=UNKNOWN, history=[UNKNOWN])
    yield _request("one item", history=items[:1])
    yield _request("an item in the cart", history=items[-1:], in_cart=True)
    yield _request("a long history", history=items)
    for features in _users(tower) if tower else ():
        yield _request("features that no training has seen", **features)
    for n, user in enumerate(users):
        yield _request("a stored customer", customer=user)
        yield _request("a stored customer and an item", customer=user, history=[items[n % len(items)]])


def _request(
    id_: str, customer: str | None = None, history: Sequence[str] = (), in_cart: bool = False, **user: Any
) -> dict[str, Any]:
    visited = [{PRODUCT: item, IN_CART: in_cart} for item in history]
    return {"id": id_, "user": {CUSTOMER: customer, **user}, "items": visited}


def _problem(answer: dict[str, Any], left: int, similarity: str) -> str:
    """Returns the mistake in an answer, if at least `left` items could be recommended; empty if there is none."""
    if "error" in answer:
        return f"expected an answer, found {answer['error']}"
    try:
        json.dumps(answer, allow_nan=False)
    except ValueError:
        return "expected finite numbers, found one that JSON does not have"
    found = answer["recommended_items"]
    if not found and left > 0:
        return f"expected some of the {left} items that are in stock and not excluded, found none"
    if len({item["id"] for item in found}) < len(found):
        return "expected every item once"
    limit = 1 + COSINE_ROUNDING
    by_vector = answer["strategy"] != Strategy.POPULAR
    if similarity == "cosine" and by_vector and any(abs(item["score"]) > limit for item in found):
        return "expected scores of -1 to 1 (cosine), found one beyond"
    return ""
