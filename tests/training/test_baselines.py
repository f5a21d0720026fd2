"""Baselines: in bounded memory, tuned on validation, and what is said where the model is behind one."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from contracts.dataset import Dataset
from tests.training import worlds
from training import baselines as under_test
from training import linear
from training.baselines import baselines
from training.data import DAY, RatingData, from_table
from training.evaluate import standing
from training.exclusion import rating_matrix
from training.histories import split
from training.linear import ease_weights, fading_matrix, neighbour_weights
from training.metrics import Scorer, rank


def test_neighbours_found_in_blocks_are_the_nearest_of_all() -> None:
    liked = sparse.random(300, 700, 0.05, "csr", np.float32, np.random.default_rng(1))
    liked.data[:] = 1
    together = np.asarray((liked.T @ liked).todense())
    norms = np.sqrt(np.diag(together)) + 1e-9
    expected = together / (np.outer(norms, norms) + 10)
    np.fill_diagonal(expected, 0)
    found = np.asarray(neighbour_weights(liked, 20, 10.0).todense()).T
    assert (np.count_nonzero(found, axis=1) <= 20).all()
    assert np.allclose(np.sort(found, axis=1)[:, -20:], np.sort(expected, axis=1)[:, -20:], atol=1e-5)


def test_one_account_that_likes_everything_takes_blocks_of_memory() -> None:
    """Computed as one product, its neighbours would be 36 million pairs, sorted at once: 1.7 GB."""
    everything = sparse.csr_matrix(np.ones((1, 6_000), dtype=np.float32))
    tracemalloc.start()
    neighbour_weights(everything, 20, 10.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e8, f"{peak / 1e6:.0f} MB"


def test_ease_of_a_matrix_inverted_in_its_place_is_what_the_paper_says() -> None:
    liked = sparse.random(200, 600, 0.05, "csr", np.float32, np.random.default_rng(1))
    liked.data[:] = 1
    inverse = np.linalg.inv((liked.T @ liked).toarray().astype(np.float64) + 50 * np.eye(600))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert np.abs(ease_weights(liked, 50.0) - expected).max() < 1e-5


def test_ease_takes_one_matrix_of_items_whatever_one_account_likes() -> None:
    everything = sparse.csr_matrix(np.ones((1, 2_000), dtype=np.float32))
    tracemalloc.start()
    ease_weights(everything, 100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 4 * 2_000**2, f"{peak / 1e6:.0f} MB"


def test_ease_of_all_factors_is_ease_and_of_a_few_ranks_alike() -> None:
    data = films()
    parts = split(data, 7)
    liked = seen = rating_matrix(data, parts.validation.known & data.liked)
    whole, factored = ease_weights(liked, 100.0), linear.factored_ease(liked, 100.0)
    assert np.abs(seen @ whole - factored.score(seen)).max() < 1e-4
    some = np.array([3, 50, 148])
    assert np.allclose(factored.score(seen, some), factored.score(seen)[:, some], atol=1e-6)


def test_scores_of_some_items_are_those_of_all() -> None:
    data = films()
    seen, some = rating_matrix(data, data.liked)[40:60], np.array([3, 50, 148])
    for setting in (linear.EaseSetting(True, 100.0), linear.NeighbourSetting(True, 20, 10.0)):
        weights = linear.fit(data, data.liked, setting)
        assert np.allclose(weights.score(seen, some), weights.score(seen)[:, some], atol=1e-5)


def test_ease_of_factors_takes_memory_by_items_not_by_pairs_of_items() -> None:
    liked = sparse.random(2_000, 20_000, 0.001, "csr", np.float32, np.random.default_rng(1))
    tracemalloc.start()
    linear.factored_ease(liked, 100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 20_000 * linear.FACTORS * 8, f"{peak / 1e6:.0f} MB; the pairs alone are 1,600 MB"


def films(dataset: Dataset = worlds.FILMS) -> RatingData:
    return from_table(worlds.films(n_users=150, n_films=150, mean=30), dataset, "films")


def test_of_a_fading_history_the_latest_item_counts_one_and_each_before_it_less() -> None:
    data = films()
    known = data.liked
    faded = fading_matrix(data, known, 0.5)
    for user in (0, 7, 149):
        items = data.item[known & (data.user == user)][::-1]
        assert faded[user, items].toarray().ravel() == pytest.approx(0.5 ** np.arange(len(items)))
    assert (fading_matrix(data, known, 1.0) != rating_matrix(data, known)).nnz == 0


def test_popularity_of_thirty_days_counts_the_likes_of_the_days_before_a_case_is_asked() -> None:
    data = films()
    parts = split(data, 7)
    found = baselines(data, parts).by_name["popularity, 30 days"].scorer(np.arange(len(parts.test.user)))
    assert data.time is not None
    for k in range(0, len(parts.test.user), 13):
        (place,) = np.flatnonzero((data.user == parts.test.user[k]) & (data.item == parts.test.item[k]))
        age = data.time[place] - data.time
        likes = parts.test.known & data.liked & (age > 0) & (age <= 30 * DAY)
        assert np.floor(found[k]).tolist() == np.bincount(data.item[likes], minlength=len(data.items)).tolist()


def test_a_time_of_numbers_has_no_days_and_no_time_has_no_fading_history() -> None:
    table = worlds.films(n_users=60, n_films=60, mean=20)
    place = table.column_names.index("seen_at")
    numbered = table.set_column(place, "seen_at", table["seen_at"].cast(pa.int64()))
    data = from_table(numbered, worlds.FILMS, "films")
    assert list(baselines(data, split(data, 7)).by_name) == [
        "popularity",
        "item-kNN",
        "item-kNN, fading history",
        "EASE",
        "EASE, fading history",
    ]
    data = films(replace(worlds.FILMS, ratings=replace(worlds.FILMS.ratings, time=None)))
    assert list(baselines(data, split(data, 7)).by_name) == ["popularity", "item-kNN", "EASE"]


def test_settings_are_those_of_the_best_validation_ndcg_where_there_is_work_for_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = films()
    parts = split(data, 7)
    asked_again = replace(parts, test=parts.validation)  # fitted for the items that the settings were chosen by
    tuned = baselines(data, asked_again).by_name
    monkeypatch.setattr(under_test, "TUNE_WORK", 1.0)
    monkeypatch.setattr(under_test, "FADES", ())
    usual = baselines(data, asked_again).by_name["EASE"]
    assert usual.setting == {"only_liked": True, "regularisation": 100.0, "fade": 1.0}

    def ndcg(scorer: Scorer) -> float:
        return float(rank(scorer, parts.validation, data).ndcg.mean())

    assert ndcg(tuned["EASE, fading history"].scorer) >= ndcg(tuned["EASE"].scorer) >= ndcg(usual.scorer)
    assert tuned["EASE, fading history"].setting["fade"] < 1, "in this world, what comes next depends on what was last"


def test_what_is_too_large_for_ease_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "FACTORED_MAX_ITEMS", 100)
    data = films()
    found = baselines(data, split(data, 7))
    assert "EASE" not in found.by_name
    assert found.notes == (f"EASE is left out: {len(data.items)} items, 100 at most",)


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        (-0.021, "Behind: ndcg@10 0.1000 against 0.1210 of the best baseline, EASE: -0.0210 ± 0.0200."),
        (-0.019, "Not behind: ndcg@10 0.1000 against 0.1190 of the best baseline, EASE: -0.0190 ± 0.0200."),
    ],
)
def test_who_is_behind_by_more_than_a_standard_error_says_so(difference: float, says: str) -> None:
    results = {"model": {"cases": 30, "ndcg@10": 0.1}, "EASE": {"ndcg@10": 0.1 - difference}}
    lift = {"baseline": "EASE", "difference": difference, "standard_error": 0.02}
    assert standing({"all": results, "lift_over_best": lift}) == says
