"""Tests of what the report tells beside the means: where the model wins, its worst misses, sessions, concentration."""

import json
from pathlib import Path

import numpy as np
import pytest

from contracts import artifacts as contract
from tests.training import worlds
from tests.training.conftest import Published
from training import analysis, artifact_writer, pipeline, served
from training.baselines import baselines
from training.data import RatingData, from_table
from training.evaluate import evaluate
from training.exclusion import rating_matrix
from training.fit import Settings
from training.histories import split
from training.metrics import Ranking, gini, rank


@pytest.fixture(scope="module")
def films() -> RatingData:
    return from_table(worlds.films(n_users=80, n_films=90, mean=25), worlds.FILMS, "films")


def ranking(data: RatingData, n_cases: int, seed: int) -> Ranking:
    random = np.random.default_rng(seed)
    tops = np.stack([random.choice(len(data.items), 10, replace=False) for _ in range(n_cases)])
    return Ranking(random.integers(1, 40, n_cases).astype(float), tops)


def test_the_parts_of_users_and_of_items_are_all_cases_and_tell_both_and_their_difference(films: RatingData) -> None:
    cases = split(films, 7).test
    model, best = (ranking(films, len(cases.user), seed) for seed in (1, 2))
    parts = analysis.where(model, best, films, cases)
    for by in ("items in the history", "ratings of the item"):
        of = [part for part in parts if part["by"] == by]
        count = np.array([part["cases"] for part in of])
        assert count.sum() == len(cases.user)
        assert sum(count * [part["model"] for part in of]) == pytest.approx(model.ndcg.sum())
        assert sum(count * [part["best"] for part in of]) == pytest.approx(best.ndcg.sum())
        assert all(part["difference"] == pytest.approx(part["model"] - part["best"]) for part in of)
    short = next(part for part in parts if part["part"] == "10–19" and part["by"] == "items in the history")
    known = np.bincount(films.user[cases.known], minlength=len(films.users))[cases.user]
    assert short["cases"] == ((known >= 10) & (known <= 19)).sum()


def test_the_worst_misses_are_those_of_the_lowest_rank(films: RatingData) -> None:
    cases = split(films, 7).test
    found = ranking(films, len(cases.user), 3)
    misses = analysis.misses(found, films, cases)
    assert [miss["rank"] for miss in misses] == np.sort(found.rank)[::-1][:10].tolist()
    for miss in misses:
        (case,) = np.flatnonzero(cases.user == films.users.ids.index(miss["user"]))
        assert miss["wanted"] == films.items.ids[cases.item[case]]
        last = films.item[cases.known & (films.user == cases.user[case])][::-1][:5]
        assert miss["recent"] == [films.items.ids[item] for item in last]


def test_repeated_are_the_recommendations_that_the_exclusion_keeps_away(films: RatingData) -> None:
    cases = split(films, 7).test
    rated = rating_matrix(films, cases.known).toarray()

    def loves_the_known(chunk: np.ndarray) -> np.ndarray:
        scores: np.ndarray = rated[cases.user[chunk]].astype(np.float32)
        return scores

    expected = np.mean([min(10, rated[user].sum()) / 10 for user in cases.user])
    assert analysis.repeated(loves_the_known, films, cases) == pytest.approx(expected)
    assert not any(rated[user, items].any() for user, items in zip(
        cases.user, rank(loves_the_known, cases, films).top, strict=True
    ))  # fmt: skip


def test_gini_is_zero_where_all_items_are_recommended_alike_and_near_one_where_one_item_is() -> None:
    assert gini(np.full(100, 7)) == pytest.approx(0)
    assert gini(np.append(np.zeros(99), 5)) == pytest.approx(0.99)
    assert gini(np.zeros(3)) == 0


def test_the_figures_of_the_report_are_in_the_json_and_what_evaluate_says_of_the_files(published: Published) -> None:
    """A visitor of ten items gets better answers than one of one item; features alone give the cold users' figures."""
    metrics = json.loads((published.folder / contract.METRICS).read_text())
    sessions = {(each["items"], each["features"]): each["ndcg@10"] for each in metrics["sessions"]}
    assert set(sessions) == {(items, features) for items in (1, 3, 10) for features in (True, False)}
    assert sessions[10, True] > sessions[1, True]
    assert sessions[10, False] > sessions[1, False]
    report = (published.folder / contract.REPORT).read_text(encoding="utf-8")
    for heading in ("New visitors", "Where it wins and loses", "The worst misses"):
        assert f"<h2>{heading}</h2>" in report
    for miss in metrics["misses"]:
        assert miss["wanted"] in report
    assert f"{metrics['repeated']:.0%} of" in report


def test_what_is_measured_is_what_the_files_say_when_they_are_read_as_served(films: RatingData, tmp_path: Path) -> None:
    """The evaluator of a model in memory and of its published files are one: the same ranks, case by case."""
    trained = pipeline.train(films, Settings(epochs=2))
    manifest = artifact_writer.write(trained, tmp_path)
    (tmp_path / contract.MANIFEST).write_text(manifest.to_json())
    parts = split(films, 7)
    rivals = baselines(films, parts)
    in_memory = evaluate(served.of(trained.model, trained.inputs, films), films, parts, rivals)
    of_files = evaluate(served.load(str(tmp_path)), films, parts, rivals)
    assert of_files["all"]["model"] == pytest.approx(in_memory["all"]["model"])
    assert of_files["sessions"] == in_memory["sessions"]
    assert of_files["misses"] == in_memory["misses"]
