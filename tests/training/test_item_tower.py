"""`item_tower.onnx`: what it makes of raw features is what torch makes of them, and what is served reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch

from contracts import artifacts as contract
from functions.shared.serving.graph import ModelError
from functions.shared.serving.tower import ItemTower
from tests.training import worlds
from tests.training.conftest import Published
from training import artifact_writer, features, onnx_export, pipeline
from training.artifact_writer import TrainedModel
from training.data import from_table
from training.entities import EntityTable
from training.fit import Settings

ITEMS = 2_000


def rows(table: EntityTable) -> list[dict[str, object]]:
    """The items as a source's rows say them: tags joined, a missing number as none."""
    return [
        {
            name: "|".join(values[n]) if isinstance(values[n], tuple) else None if values[n] != values[n] else values[n]
            for name, values in table.columns.items()
        }
        for n in range(len(table))
    ]


def test_the_tower_says_of_raw_rows_what_torch_says_of_an_item_without_an_id(film_model: TrainedModel) -> None:
    encodings = film_model.inputs.shape.item_encodings
    dim = film_model.model.dim
    tower = ItemTower(onnx_export.item_tower(film_model.model.items, encodings), film_model.data.dataset, dim)
    items = worlds.random_table(encodings, ITEMS, np.random.default_rng(1))
    with torch.inference_mode():
        encoded = features.encode(items, encodings)
        expected = film_model.model.items.unseen(encoded).numpy()
    vectors = tower.vectors(rows(items))
    assert vectors.shape == (ITEMS, dim)
    assert np.abs(vectors - expected).max() < 1e-5
    assert len(np.unique(vectors.round(4), axis=0)) > ITEMS / 4, "the features make the vectors differ"
    assert tower.vectors([]).shape == (0, dim)


def test_an_item_that_nobody_has_rated_is_stored_as_the_tower_says(tmp_path: Path) -> None:
    """The store's vector of an item without a rating, and that of a look at the same row through the file, are one."""
    table = worlds.films(n_users=60, n_films=80, mean=20)
    unseen = pa.table({"film": [9_000], "genres": ["genre 1|genre 2"], "year": [1999], "title": ["Unseen"]})
    data = from_table(table, worlds.FILMS, "films", unseen)
    manifest = artifact_writer.write(pipeline.train(data, Settings(epochs=1), force=True), tmp_path)
    assert contract.ITEM_TOWER in manifest.files
    tower = ItemTower((tmp_path / contract.ITEM_TOWER).read_bytes(), data.dataset, manifest.dim)
    stored = (tmp_path / contract.ITEM_EMBEDDINGS).read_text().split("9000,", 1)[1].splitlines()[0]
    vector = np.array(stored.strip('"[]').split(","), dtype=np.float32)
    assert np.abs(tower.vectors(unseen.to_pylist())[0] - vector).max() < 1e-5


def test_the_file_has_an_input_for_each_feature_of_items_and_no_table_of_items(published: Published) -> None:
    path = published.folder / contract.ITEM_TOWER
    session = onnxruntime.InferenceSession(path)
    assert {value.name: value.type for value in session.get_inputs()} == {
        "productLine": "tensor(string)", "productScale": "tensor(string)", "quantityInStock": "tensor(float)",
        "buyPrice": "tensor(float)", "MSRP": "tensor(float)",
    }  # fmt: skip
    assert [value.name for value in session.get_outputs()] == [contract.ITEM_VECTOR_OUTPUT]
    assert path.stat().st_size < 200_000


def test_items_without_features_have_no_tower_and_a_tower_of_other_features_is_refused(
    published: Published, tmp_path: Path
) -> None:
    bare = replace(worlds.FILMS, items=replace(worlds.FILMS.items, columns=()))
    data = from_table(worlds.films(n_users=40, n_films=60, mean=15), bare, "films")
    manifest = artifact_writer.write(pipeline.train(data, Settings(epochs=1), force=True), tmp_path)
    assert contract.ITEM_TOWER not in manifest.files
    with pytest.raises(ModelError, match="item tower: expected the inputs"):
        ItemTower((published.folder / contract.ITEM_TOWER).read_bytes(), worlds.FILMS, 32)
