"""The linear part: what it is taught, how it is joined to the towers, and that its share is the best on validation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from functions.shop_seeder.sample_shop import generate
from tests.training import worlds
from tests.training.conftest import Published
from training import blend, content, linear, linear_part, pipeline, scoring, teacher
from training.artifact_writer import TrainedModel
from training.baselines import EASE, baselines
from training.data import RatingData, from_table
from training.evaluate import standing
from training.fit import Inputs, Settings
from training.histories import histories, split
from training.joined import Joined
from training.metrics import rank
from training.model import TwoTower


@pytest.fixture(scope="module")
def shop() -> RatingData:
    return from_table(worlds.shop_table(generate(customers=150, ratings=4_000)), worlds.CLASSIC, "shop")


def joined(data: RatingData, share: float) -> tuple[Joined, Inputs]:
    settings = Settings()
    inputs = Inputs(data, settings)
    rated = torch.from_numpy(np.bincount(data.item, minlength=len(data.items)) > 0)
    rated[3] = False
    torch.manual_seed(1)
    towers, part = TwoTower(inputs.shape, rated), linear_part.LinearPart(32, 0.9, rated)
    network = content.Content(inputs.shape.item_encodings, 32)
    return Joined(towers, part, network, share).eval(), inputs


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_score_is_the_towers_and_the_linear_parts_by_their_shares(shop: RatingData, share: float) -> None:
    model, inputs = joined(shop, share)
    users = np.arange(20)
    recent = histories(shop).recent(users)
    items = scoring.item_vectors(model, inputs)
    vectors = scoring.user_vectors(model, inputs, items, users, recent)
    assert items.shape[1] == model.dim == 64
    assert np.allclose(np.linalg.norm(items, axis=1), 1, atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    with torch.inference_mode():
        tower_items = model.items.tower(inputs.items, torch.arange(len(shop.items))).numpy()
        linear_items = model.items.linear.items(torch.arange(len(shop.items))).numpy()
        by_features = model.items.unseen(inputs.items).numpy()
    weights = (recent >= 0) * 0.9 ** np.arange(recent.shape[1])
    tower_items[3], linear_items[3] = by_features[3, :32] / (1 - share) ** 0.5, by_features[3, 32:] / share**0.5
    sums = (weights[:, :, None] * linear_items[np.maximum(recent, 0)]).sum(1)
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    by_towers = scoring.user_vectors(model_of_towers(model), inputs, tower_items, users, recent) @ tower_items.T
    expected = (1 - share) * by_towers + share * sums @ linear_items.T
    assert np.abs(vectors @ items.T - expected).max() < 1e-5
    assert (items[3] == by_features[3]).all(), "an item that nobody has rated lies where its features say"
    assert (items[4] != by_features[4]).any()


def model_of_towers(model: Joined) -> TwoTower:
    towers = TwoTower.__new__(TwoTower)
    torch.nn.Module.__init__(towers)
    towers.users = model.users.tower
    return towers


def test_the_part_ranks_nearly_as_well_as_the_ease_that_taught_it(shop: RatingData) -> None:
    parts = split(shop, 7)
    rivals = baselines(shop, replace(parts, test=parts.validation))
    ease = rivals.by_name[EASE].linear
    assert ease is not None
    lesson = teacher.find(shop, parts.validation, ease.setting, ease.fade)
    part = linear_part.fit(shop, parts.train, lesson, Settings())
    recent = histories(shop, parts.validation.known).recent(parts.validation.user)
    with torch.inference_mode():
        items = part.items(torch.arange(len(shop.items)))
        scores = (part.users(items[np.maximum(recent, 0)], torch.from_numpy(recent >= 0).float()) @ items.T).numpy()
    by_part = rank(lambda chunk: scores[chunk], parts.validation, shop).ndcg
    by_ease = rank(rivals.by_name[EASE].scorer, parts.validation, shop).ndcg
    assert by_part.mean() > 0.9 * by_ease.mean()
    assert np.corrcoef(by_part, by_ease)[0, 1] > 0.6, "it ranks well where EASE does"


def test_the_share_is_the_best_on_validation_and_every_share_that_was_tried_is_told(film_model: TrainedModel) -> None:
    told = film_model.metrics["training"]["linear_part"]
    assert list(told["validation"]) == [f"{share:g}" for share in blend.SHARES]
    assert told["validation"][f"{told['share']:g}"] == max(told["validation"].values())
    assert isinstance(film_model.model, Joined), "the tests of the towers' graphs see both parts"


def test_on_the_sample_shop_the_model_is_not_behind_ease(published: Published) -> None:
    assert standing(published.result.metrics).startswith("Not behind:"), standing(published.result.metrics)
    assert published.result.metrics["training"]["linear_part"]["share"] > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"similarity": "inner_product"}, "a linear part needs the similarity cosine"),
        ({"linear_dim": 0}, "linear_dim leaves no number for a linear part"),
        ({}, "EASE, which teaches the linear part, is left out"),
    ],
)
def test_without_a_linear_part_the_towers_are_served_and_the_reason_is_told(
    shop: RatingData, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], reason: str
) -> None:
    if not changes:
        monkeypatch.setattr(linear, "FACTORED_MAX_ITEMS", 10)
    trained = pipeline.train(shop, replace(Settings(epochs=1), **changes))  # type: ignore[arg-type]
    assert isinstance(trained.model, TwoTower)
    assert trained.metrics["training"]["linear_part"]["reason"] == reason


def test_a_catalogue_too_large_for_the_whole_matrix_has_a_linear_part_taught_by_factors(
    shop: RatingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "EASE_MAX_ITEMS", 100)
    trained = pipeline.train(shop, Settings(epochs=8, candidates=80))
    assert isinstance(trained.model, Joined)
    assert trained.metrics["baselines"]["notes"] == [f"EASE is of 256 factors: {len(shop.items)} items"]
    assert standing(trained.metrics).startswith("Not behind:"), standing(trained.metrics)
