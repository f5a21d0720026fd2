"""`user_tower.onnx` against the torch model it was made of."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from contracts import artifacts as contract
from contracts.artifacts import MAX_RECENT_ITEMS
from tests.training import worlds
from tests.training.conftest import Published
from training import features, onnx_export, scoring
from training.artifact_writer import TrainedModel
from training.entities import EntityTable

USERS = 3_000


def onnx_inputs(model: TrainedModel, users: EntityTable) -> dict[str, np.ndarray]:
    inputs = {}
    for encoding in model.inputs.shape.user_encodings:
        values = users.columns[encoding.column.name]
        if encoding.column.kind.is_list:
            longest = max(map(len, values))
            values = np.array([[*tags, *[""] * (longest - len(tags))] for tags in values], dtype=object)
        inputs[encoding.column.name] = values.astype(np.float32) if encoding.column.kind.is_number else values
    return inputs


def assert_same_as_torch(model: TrainedModel, tower: bytes, n_recent: int) -> None:
    random = np.random.default_rng(n_recent)
    users = worlds.random_table(model.inputs.shape.user_encodings, USERS, random)
    recent = random.normal(size=(USERS, n_recent, model.model.dim)).astype(np.float32)
    lengths = random.integers(0, n_recent + 1, USERS)
    mask = (np.arange(n_recent) < lengths[:, None]).astype(np.float32)
    session = onnxruntime.InferenceSession(tower)
    (vectors,) = session.run(
        [contract.USER_VECTOR_OUTPUT],
        onnx_inputs(model, users) | {contract.RECENT_ITEMS_INPUT: recent, contract.RECENT_ITEMS_MASK_INPUT: mask},
    )
    encoded = features.encode(users, model.inputs.shape.user_encodings)
    with torch.inference_mode():
        expected = model.model.users(encoded, torch.from_numpy(recent), torch.from_numpy(mask)).numpy()
    assert vectors.shape == (USERS, model.model.dim)
    assert np.abs(vectors - expected).max() < 1e-5


@pytest.mark.parametrize("n_recent", [1, 2, 7, MAX_RECENT_ITEMS, MAX_RECENT_ITEMS + 30])
def test_the_tower_answers_as_torch_does_for_thousands_of_random_users(film_model: TrainedModel, n_recent: int) -> None:
    tower = onnx_export.user_tower(film_model.model.users, film_model.inputs.shape.user_encodings, film_model.model.dim)
    assert_same_as_torch(film_model, tower, n_recent)


def test_stored_users_are_what_the_tower_makes_of_their_features_and_recent_items(film_model: TrainedModel) -> None:
    tower = onnx_export.user_tower(film_model.model.users, film_model.inputs.shape.user_encodings, film_model.model.dim)
    items = scoring.item_vectors(film_model.model, film_model.inputs)
    everyone = np.arange(len(film_model.data.users))
    recent = scoring.recent_items(film_model.data)
    stored = scoring.user_vectors(film_model.model, film_model.inputs, items, everyone, recent)
    (vectors,) = onnxruntime.InferenceSession(tower).run(
        None,
        onnx_inputs(film_model, film_model.data.users)
        | {
            contract.RECENT_ITEMS_INPUT: items[np.maximum(recent, 0)] * (recent >= 0)[:, :, None],
            contract.RECENT_ITEMS_MASK_INPUT: (recent >= 0).astype(np.float32),
        },
    )
    assert np.abs(vectors - stored).max() < 1e-5


def test_the_tower_has_an_input_for_each_user_feature_and_no_table_of_items(published: Published) -> None:
    path = Path(published.folder / contract.USER_TOWER)
    session = onnxruntime.InferenceSession(path)
    kinds = {value.name: value.type for value in session.get_inputs()}
    assert kinds == {
        "city": "tensor(string)", "state": "tensor(string)", "postalCode": "tensor(string)",
        "country": "tensor(string)", "creditLimit": "tensor(float)",
        contract.RECENT_ITEMS_INPUT: "tensor(float)", contract.RECENT_ITEMS_MASK_INPUT: "tensor(float)",
    }  # fmt: skip
    assert path.stat().st_size < 200_000
