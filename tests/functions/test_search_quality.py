"""The depth of searches is chosen by the results of a version's own customers, and kept with the version."""

from dataclasses import replace

import numpy as np
import pytest

from functions.embedding_loader import search_quality
from functions.shared import version_registry
from functions.shared.serving.connections import EF_SEARCH, prepare
from functions.shared.serving.store import Store as Tables
from tests.functions.conftest import Store
from tests.functions.worlds import DIM, World, user_tower, world

EASY, HARD = "20261101T000000Z-000001", "20261102T000000Z-000002"


def hard(n_items: int = 6_000) -> World:
    """Vectors without clusters: a graph of neighbours leads less well through them."""
    dice = np.random.default_rng(5)
    items, users = (dice.normal(size=(n, 32)).astype(np.float32) for n in (n_items, 150))
    made = world(HARD, n_items=n_items, n_users=150)
    return replace(made, items=items, users=users, tower=user_tower(32), item_tower=None)


def kept(store: Store, version: str) -> tuple[int | None, float | None]:
    (row,) = store.connection.execute(
        "SELECT ef_search, index_recall FROM recommender.model_version WHERE version = %s", (version,)
    ).fetchall()
    return row


def in_force(store: Store) -> int:
    return int(store.connection.execute("SHOW hnsw.ef_search").fetchone()[0])  # type: ignore[index]


def recall(store: Store, shop: World) -> float:
    """Computes, in NumPy, the share of each customer's ten best items that a search finds."""
    tables = Tables(store.connection, shop.version, shop.similarity, shop.items.shape[1])
    found = tables.nearest(shop.users, [()] * len(shop.users), 10)
    best = [set(shop.best(user, 10)) for user in shop.users]
    return float(
        np.mean([len(each & {item.id for item in answer}) / 10 for each, answer in zip(best, found, strict=True)])
    )


def test_vectors_that_lie_badly_are_searched_further_and_the_recall_is_kept_with_the_version(store: Store) -> None:
    shop = hard()
    store.serve(shop, world(EASY))
    prepare(store.connection)
    ef_search, measured = kept(store, HARD)
    assert ef_search is not None
    assert measured is not None
    assert ef_search > EF_SEARCH
    assert measured >= search_quality.ENOUGH
    assert recall(store, shop) == pytest.approx(measured, abs=0.01)
    assert in_force(store) == ef_search
    assert kept(store, EASY) == (EF_SEARCH, 1.0)
    Tables(store.connection, EASY, "cosine", DIM)
    assert in_force(store) == EF_SEARCH, "each version has its own"


def test_a_version_that_an_earlier_release_loaded_is_searched_as_it_was(store: Store) -> None:
    store.serve(world(EASY))
    store.connection.execute("ALTER TABLE recommender.model_version DROP ef_search, DROP index_recall")
    prepare(store.connection)
    Tables(store.connection, EASY, "cosine", DIM)
    assert in_force(store) == EF_SEARCH
    version_registry.prepare(store.connection)
    assert kept(store, EASY) == (None, None)


def test_without_customers_the_items_searches_are_measured(store: Store) -> None:
    shop = world(EASY)
    store.serve(replace(shop, user_ids=[], users=shop.users[:0], recent={}))
    assert kept(store, EASY) == (EF_SEARCH, 1.0)


@pytest.mark.parametrize(("n_items", "count"), [(10, 200), (100_000, 200), (500_000, 40), (10_000_000, 20)])
def test_a_large_catalogue_is_scanned_for_fewer_customers(n_items: int, count: int) -> None:
    assert search_quality.searches(n_items) == count
