"""Names and descriptions: their words tell where a new item belongs, or they are not read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from contracts import artifacts as contract
from functions.shared.serving.tower import ItemTower
from tests.training import worlds
from training import artifact_writer, features, new_items, pipeline, recipe, texts
from training.baselines import baselines
from training.data import RatingData, from_table
from training.evaluate import standing
from training.fit import Inputs, Settings
from training.histories import Flags, split
from training.joined import Model
from training.recipe import Recipe

# A training takes half a minute of one processor, which other work may share.
pytestmark = pytest.mark.timeout(900)
QUICK = Settings(epochs=5)


def films(telling: bool, n_users: int = 200, n_films: int = 200, mean: int = 50) -> pa.Table:
    return worlds.titled(worlds.films(n_users, n_films, mean, fame=0.5, originality=0.2), telling)


def found(data: RatingData) -> Recipe:
    parts = split(data, QUICK.seed)
    return recipe.find(data, parts, baselines(data, parts), QUICK, lambda curve: None, None)


def test_where_only_a_title_tells_what_a_film_is_new_films_are_found_by_it_through_the_published_tower() -> None:
    data = from_table(films(telling=True, n_users=300), worlds.NAMED, "films")
    made = found(data)
    assert made.texts.validation["title"]["read"]
    assert made.texts.validation["title"]["difference"] > 2 * made.texts.validation["title"]["standard_error"]

    def measured(using: Recipe) -> float:
        def make(known: Flags) -> Model:
            return using.make(data, known, lambda curve: None, None)

        return float(new_items.measure(make, data, using.inputs, QUICK.seed)["new"]["ndcg@10"])

    without = replace(made, inputs=Inputs(data, QUICK, frozenset({"title"})))
    assert measured(made) > 1.25 * measured(without)


def test_titles_that_say_nothing_are_not_read_and_the_model_is_not_behind(tmp_path: Path) -> None:
    data = from_table(films(telling=False, n_users=120, n_films=100, mean=30), worlds.NAMED, "films")
    trained = pipeline.train(data, Settings(epochs=8))
    told = trained.metrics["training"]["texts"]["validation"]["title"]
    assert told["read"] is False
    assert standing(trained.metrics).startswith("Not behind:"), standing(trained.metrics)
    manifest = artifact_writer.write(trained, tmp_path)
    report = (tmp_path / contract.REPORT).read_text(encoding="utf-8")
    assert f"The words of title are not read: ndcg@10 of validation items taken for new is {told['with']:.4f}" in report
    tower = ItemTower((tmp_path / contract.ITEM_TOWER).read_bytes(), data.dataset, manifest.dim)
    vectors = tower.vectors([{"year": 1999, "title": title} for title in ("The Filler1", "Filler2 filler3", None)])
    assert (vectors == vectors[0]).all(), "the file has the input, and leaves it at that"


TITLES = (
    "The GENRE1A of genre2b",
    "<b>genre3c</b> Genre3A",
    "ｇｅｎｒｅ4ａ",
    "",
    None,
    "unheard of",
    "genre5b " * 5_000,
)


def test_an_item_with_a_text_is_embedded_in_training_as_the_published_tower_does_later(tmp_path: Path) -> None:
    """Films that nobody has seen: their vectors in the store, by torch, and of their raw rows through the file."""
    keys = [9_000 + n for n in range(len(TITLES))]
    unseen = pa.table({"film": keys, "year": [1999] * len(keys), "title": pa.array(TITLES, pa.string())})
    data = from_table(films(telling=True, n_users=100, n_films=160, mean=40), worlds.NAMED, "films", unseen)
    trained = pipeline.train(data, Settings(epochs=1), force=True)
    assert trained.metrics["training"]["texts"]["validation"]["title"]["read"]
    manifest = artifact_writer.write(trained, tmp_path)
    tower = ItemTower((tmp_path / contract.ITEM_TOWER).read_bytes(), data.dataset, manifest.dim)
    served = tower.vectors(unseen.to_pylist())
    places = [data.items.ids.index(str(key)) for key in keys]
    with torch.inference_mode():
        encoded = features.encode(data.items, trained.inputs.shape.item_encodings)
        by_torch = trained.model.items.unseen([column[places] for column in encoded]).numpy()
    lines = (tmp_path / contract.ITEM_EMBEDDINGS).read_text().splitlines()[1:]
    stored = {line.split(",", 1)[0]: np.array(line.split(",", 1)[1].strip('"[]').split(","), float) for line in lines}
    assert np.abs(served - by_torch).max() < 1e-5
    assert np.abs(served - np.stack([stored[str(key)] for key in keys])).max() < 1e-5
    assert len(np.unique(served.round(4), axis=0)) == 5, "without a known word three of them are the same"


def test_of_a_large_vocabulary_the_words_of_most_items_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = films(telling=True, n_users=40, n_films=60, mean=15)
    data = from_table(table, worlds.NAMED, "films")
    monkeypatch.setattr(features, "MAX_VOCABULARY", 7)
    title = Inputs(data, QUICK).shape.item_encodings[1]
    counts = {
        word: sum(word in words for words in data.items.columns["title"])
        for word in {word for words in data.items.columns["title"] for word in words}
    }
    common = {word for word, count in counts.items() if count > features.COMMON * len(data.items)}
    assert {"the", "of"} <= common
    assert len(title.vocabulary) == 7
    assert min(counts[word] for word in title.vocabulary) >= max(
        count for word, count in counts.items() if word not in {*title.vocabulary, *common}
    )


def test_where_nothing_tells_whether_texts_help_none_is_read_and_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = from_table(films(telling=True, n_users=30, n_films=40, mean=12), worlds.NAMED, "films")
    told = pipeline.train(data, Settings(epochs=1, linear_dim=0)).metrics["training"]["texts"]
    assert told["reason"].endswith("there is none: linear_dim leaves no number for a linear part")
    assert told["validation"] == {}
    monkeypatch.setattr(texts, "LEAST_ITEMS", 1_000)
    assert "1000 rated items are needed to tell whether they help, there are" in found(data).texts.reason
