"""The model learns from order, from features, for items never rated, and the same from a sampled softmax."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from contracts.artifacts import MAX_RECENT_ITEMS
from functions.shop_seeder.sample_shop import generate
from tests.training import worlds
from tests.training.conftest import Published
from training import pipeline
from training.artifact_writer import TrainedModel
from training.catalogue import Catalogue
from training.data import from_table
from training.examples import Examples, Forget
from training.fit import Settings
from training.histories import split
from training.metrics import rank


def test_a_sampled_softmax_learns_the_shop_as_well() -> None:
    data = from_table(worlds.shop_table(generate(customers=150, ratings=4_000)), worlds.CLASSIC, "shop")
    metrics = pipeline.train(data, Settings(candidates=40)).metrics["all"]
    assert metrics["model"]["ndcg@10"] > 2 * metrics["popularity"]["ndcg@10"]


def test_the_correction_of_the_sampled_softmax_is_how_often_an_item_comes_in() -> None:
    torch.manual_seed(1)
    counts = np.array([0, 1, 5, 20, 100, 400])
    catalogue, seen = Catalogue(counts, size=4), np.zeros(6)
    target = torch.tensor([5])
    for _ in range(4_000):
        target = torch.multinomial(torch.from_numpy(counts / counts.sum()), 1)
        candidates, log_drawn = catalogue.draw(target)
        seen[candidates.numpy()] += 1
        assert set(target.tolist()) <= set(candidates.tolist())
    assert np.exp(log_drawn.numpy()) == pytest.approx(seen[candidates.numpy()] / 4_000, abs=0.03)
    assert seen[0] == 0


def test_a_customer_never_seen_gets_what_people_of_the_country_like(published: Published) -> None:
    cold = published.result.metrics["cold_users"]
    assert cold["model"]["ndcg@10"] > cold["popularity"]["ndcg@10"]


def test_items_held_out_of_training_are_found_by_their_features_through_the_published_tower() -> None:
    """A tenth of the films, with informative genres: among all films, and among the unseen ones alone."""
    table = worlds.films(n_users=200, n_films=200, mean=50, fame=0.5, originality=0.2)
    found = pipeline.train(from_table(table, worlds.FILMS, "films"), Settings(epochs=8)).metrics["new_items"]
    assert found["items"] == 20
    assert found["all"]["cases"] > 150
    assert found["all"]["ndcg@10"] > 0.1
    assert found["new"]["ndcg@10"] > max(0.25, 1.5 * found["chance"])


def test_an_example_shows_what_its_user_rated_before_liked_or_not_and_nothing_after(film_model: TrainedModel) -> None:
    data = film_model.data
    place = {pair: k for k, pair in enumerate(zip(data.user.tolist(), data.item.tolist(), strict=True))}
    first = np.searchsorted(data.user, np.arange(len(data.users))).tolist()
    everything = np.ones(len(data.user), dtype=bool)
    seen = 0
    for batch in Examples(data, everything, 0.3).batches(256, Forget(0.0, 0.0), np.random.default_rng(0)):
        for user, target, recent in zip(batch.user.tolist(), batch.target.tolist(), batch.recent.tolist(), strict=True):
            places = [place[user, item] for item in recent if item >= 0]
            assert places == sorted(places, reverse=True)
            before = place[user, target]
            assert places == list(range(max(first[user], before - MAX_RECENT_ITEMS), before))[::-1]
            seen += 1
    assert seen == len(data.user)


def test_without_time_an_example_shows_all_other_likes_and_never_its_target() -> None:
    data = from_table(worlds.shop_table(generate(customers=30, products=32, ratings=400)), worlds.CLASSIC, "shop")
    likes = [set(data.item[(data.user == user) & data.liked].tolist()) for user in range(len(data.users))]
    everything = np.ones(len(data.user), dtype=bool)
    for batch in Examples(data, everything, 0.3).batches(64, Forget(0.0, 0.0), np.random.default_rng(0)):
        for user, target, recent in zip(batch.user.tolist(), batch.target.tolist(), batch.recent.tolist(), strict=True):
            shown = [item for item in recent if item >= 0]
            assert set(shown) == likes[user] - {target}
            assert len(shown) == len(set(shown))
        for user, target, left_out in zip(
            batch.user.tolist(), batch.target.tolist(), batch.left_out.tolist(), strict=True
        ):
            rated = set(data.item[data.user == user].tolist())
            assert {item for item in left_out if item >= 0} == rated - {target}, "what was disliked is no wrong answer"


@pytest.mark.parametrize("timed", [True, False])
def test_nothing_of_the_test_is_known_in_training_or_validation(timed: bool) -> None:
    dataset = worlds.FILMS if timed else replace(worlds.FILMS, ratings=replace(worlds.FILMS.ratings, time=None))
    data = from_table(worlds.films(n_users=30, n_films=60, mean=15), dataset, "films")
    parts = split(data, seed=1)
    assert not (parts.train & ~parts.validation.known).any()
    for cases in (parts.validation, parts.test):
        known = set(zip(data.user[cases.known].tolist(), data.item[cases.known].tolist(), strict=True))
        assert not known & set(zip(cases.user.tolist(), cases.item.tolist(), strict=True))
    held_out = set(zip(parts.test.user.tolist(), parts.test.item.tolist(), strict=True))
    earlier = {(data.user[k], data.item[k]) for k in np.flatnonzero(parts.validation.known)}
    assert not held_out & earlier
    assert len(parts.test.user) > 20


def test_ranks_are_counted_over_everything_not_rated_and_ties_count_half() -> None:
    data = from_table(worlds.films(n_users=30, n_films=60, mean=15), worlds.FILMS, "films")
    cases = split(data, seed=1).test
    nothing = rank(lambda chunk: np.zeros((len(chunk), len(data.items)), dtype=np.float32), cases, data)
    candidates = len(data.items) - np.bincount(data.user[cases.known], minlength=len(data.users))[cases.user]
    assert np.allclose(nothing.rank, (candidates + 1) / 2)
    perfect = np.zeros((len(cases.user), len(data.items)), dtype=np.float32)
    perfect[np.arange(len(cases.user)), cases.item] = 1
    best = rank(lambda chunk: perfect[chunk], cases, data)
    assert (best.rank == 1).all()
    assert (best.top[:, 0] == cases.item).all()
    assert (best.ndcg == 1).all()
    seen = {(user, item) for user, item in zip(data.user[cases.known], data.item[cases.known], strict=True)}
    assert not any((user, item) in seen for user, row in zip(cases.user, best.top, strict=True) for item in row)
