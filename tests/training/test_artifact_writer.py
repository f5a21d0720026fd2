"""A training run publishes every file of the contract."""

import csv
import json
import pickle

import numpy as np
import pytest
import torch

from contracts import artifacts as contract
from contracts import dataset_file
from tests.training.conftest import Published
from tests.training.worlds import CLASSIC


def rows(published: Published, path: str) -> list[dict[str, str]]:
    with (published.folder / path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_version_holds_every_file_and_the_manifest_names_each_with_its_digest(published: Published) -> None:
    manifest = contract.read_manifest((published.folder / contract.MANIFEST).read_text())
    there = {path.relative_to(published.folder).as_posix() for path in published.folder.rglob("*") if path.is_file()}
    required = {
        contract.ITEM_EMBEDDINGS, contract.USER_EMBEDDINGS, contract.CHECKPOINT, contract.USER_TOWER,
        contract.ITEM_TOWER, contract.ITEM_CATALOG, contract.USER_CATALOG, contract.SIMILAR_ITEMS, contract.METRICS,
        *contract.SCALERS,
    }  # fmt: skip
    assert required <= set(manifest.files)
    assert there == set(manifest.files) | {contract.MANIFEST}
    for path, digest in manifest.files.items():
        assert contract.file_sha256(published.folder / path) == digest
    assert (manifest.n_items, manifest.n_users, manifest.dim) == (119, 299, 64)
    assert dataset_file.from_dict(manifest.dataset or {}) == CLASSIC


def test_embeddings_are_unit_vectors_and_users_like_what_lies_near(published: Published) -> None:
    items = {row["id"]: np.array(json.loads(row["embedding"])) for row in rows(published, contract.ITEM_EMBEDDINGS)}
    users = {row["id"]: np.array(json.loads(row["embedding"])) for row in rows(published, contract.USER_EMBEDDINGS)}
    assert {vector.shape for vector in (*items.values(), *users.values())} == {(64,)}
    assert np.allclose([np.linalg.norm(vector) for vector in (*items.values(), *users.values())], 1.0, atol=1e-5)
    liked = {row["id"]: set(json.loads(row["recent_items"])) for row in rows(published, contract.USER_CATALOG)}
    near = [users[user] @ items[item] for user in users for item in liked[user]]
    far = [users[user] @ items[item] for user in users for item in set(items) - liked[user]]
    assert np.mean(near) > np.mean(far) + 0.3


def test_the_catalog_says_what_is_in_stock_and_how_popular(published: Published) -> None:
    catalog = rows(published, contract.ITEM_CATALOG)
    assert tuple(catalog[0]) == contract.ITEM_CATALOG_COLUMNS
    assert {row["in_stock"] for row in catalog} == {"true", "false"}
    assert sum(float(row["popularity"]) for row in catalog) == pytest.approx(1.0)
    assert set(json.loads(catalog[0]["attributes"])) >= {"line", "scale", "price", "productLine", "quantityInStock"}
    assert max(len(json.loads(row["recent_items"])) for row in rows(published, contract.USER_CATALOG)) <= 50


def test_the_similar_items_are_the_nearest_in_stock(published: Published) -> None:
    vectors = {row["id"]: np.array(json.loads(row["embedding"])) for row in rows(published, contract.ITEM_EMBEDDINGS)}
    in_stock = {row["id"] for row in rows(published, contract.ITEM_CATALOG) if row["in_stock"] == "true"}
    similar = {row["id"]: json.loads(row["similar"]) for row in rows(published, contract.SIMILAR_ITEMS)}
    assert similar.keys() == vectors.keys()
    for id_, found in similar.items():
        exact = sorted(1 - vectors[id_] @ vectors[other] for other in in_stock - {id_})
        assert {near for near, _ in found} <= in_stock - {id_}
        assert np.allclose([distance for _, distance in found], exact[: contract.MAX_SIMILAR_ITEMS], atol=1e-5)
        assert np.allclose([1 - vectors[id_] @ vectors[near] for near, _ in found], exact[: len(found)], atol=1e-5)


def test_the_model_of_the_sample_shop_is_at_least_twice_as_good_as_popularity(published: Published) -> None:
    results = published.result.metrics["all"]
    assert results["model"]["ndcg@10"] > 2 * results["popularity"]["ndcg@10"]


def test_the_checkpoint_loads_as_weights_only_and_the_scalers_as_scikit_learn(published: Published) -> None:
    checkpoint = torch.load(published.folder / contract.CHECKPOINT, weights_only=True)
    assert checkpoint["weights"]["items.tower.ids.weight"].shape == (119, 32)
    encoder, scaler = (pickle.loads((published.folder / path).read_bytes()) for path in contract.SCALERS[2:])
    assert list(encoder.feature_names_in_) == ["productLine", "productScale"]
    assert "Ships" in encoder.categories_[0]
    assert list(scaler.feature_names_in_) == ["quantityInStock", "buyPrice", "MSRP"]
