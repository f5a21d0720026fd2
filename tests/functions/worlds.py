"""Model versions for tests: vectors in clusters, a real user tower in ONNX, written as training publishes them."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contracts import artifacts
from contracts.dataset_file import load
from emulator.program import ROOT

DATASET = load(ROOT / "dataset.toml")
DIM = 8


@dataclass(frozen=True)
class World:
    """A model version. The towers are ONNX models' content, `None` for artifacts without one."""

    version: str
    item_ids: Sequence[str]
    items: Any
    user_ids: Sequence[str]
    users: Any
    similarity: str = "cosine"
    out_of_stock: frozenset[str] = frozenset()
    recent: Mapping[str, Sequence[str]] = field(default_factory=dict)
    excluded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By item; where there are none at all, the catalogue is as earlier releases wrote it."""
    tower: bytes | None = None
    item_tower: bytes | None = None
    with_catalog: bool = True
    with_similar: bool = False
    """The version brings the similar items of every second item."""

    @property
    def popularity(self) -> dict[str, float]:
        """Later items are more popular."""
        return {id_: (number + 1) / len(self.item_ids) for number, id_ in enumerate(self.item_ids)}

    def scores(self, vector: Any) -> dict[str, float]:
        """Every item's similarity to a vector, computed plainly."""
        products = self.items @ vector
        if self.similarity == "cosine":
            products = products / (np.linalg.norm(self.items, axis=1) * np.linalg.norm(vector))
        return dict(zip(self.item_ids, products.tolist(), strict=True))

    def best(self, vector: Any, limit: int, hidden: Sequence[str] = ()) -> list[str]:
        """The exact answer that retrieval must come close to."""
        scores = {
            id_: score
            for id_, score in self.scores(vector).items()
            if id_ not in self.out_of_stock and id_ not in hidden
        }
        return sorted(scores, key=lambda id_: (-scores[id_], id_))[:limit]

    def similar(self, item: str) -> list[tuple[str, float]]:
        """The nearest items with their distances, as a version's file has them."""
        vector, offset = self.vector(item), 1 if self.similarity == "cosine" else 0
        scores, best = self.scores(vector), self.best(vector, artifacts.MAX_SIMILAR_ITEMS, [item])
        return [(id_, offset - scores[id_]) for id_ in best]

    def vector(self, item: str) -> Any:
        return self.items[list(self.item_ids).index(item)]

    def user(self, user: str) -> Any:
        return self.users[list(self.user_ids).index(user)]

    def files(self) -> dict[str, bytes]:
        files = {
            artifacts.ITEM_EMBEDDINGS: embeddings_csv(self.item_ids, self.items),
            artifacts.USER_EMBEDDINGS: embeddings_csv(self.user_ids, self.users),
        }
        if self.with_catalog:
            stock = ((id_, str(id_ not in self.out_of_stock).lower(), p) for id_, p in self.popularity.items())
            columns = artifacts.ITEM_CATALOG_COLUMNS
            if self.attributes:
                shown = (json.dumps(self.attributes.get(id_, {})) for id_ in self.item_ids)
                files[artifacts.ITEM_CATALOG] = csv_bytes(columns, ((*s, a) for s, a in zip(stock, shown, strict=True)))
            else:
                files[artifacts.ITEM_CATALOG] = csv_bytes(columns[:-1], stock)
            lists = ((self.recent.get(id_, ()), self.excluded.get(id_, ())) for id_ in self.user_ids)
            rows = (
                (id_, *(json.dumps(list(ids)) for ids in both)) for id_, both in zip(self.user_ids, lists, strict=True)
            )
            files[artifacts.USER_CATALOG] = csv_bytes(artifacts.USER_CATALOG_COLUMNS, rows)
        if self.with_similar:
            similar = ((id_, json.dumps(self.similar(id_))) for id_ in self.item_ids[::2])
            files[artifacts.SIMILAR_ITEMS] = csv_bytes(artifacts.SIMILAR_ITEMS_COLUMNS, similar)
        if self.tower is not None:
            files[artifacts.USER_TOWER] = self.tower
        if self.item_tower is not None:
            files[artifacts.ITEM_TOWER] = self.item_tower
        return files

    def manifest(self, files: Mapping[str, bytes] | None = None, version: str = "") -> artifacts.Manifest:
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in (files or self.files()).items()}
        counts = (len(self.item_ids), len(self.user_ids))
        dim = self.items.shape[1]
        return artifacts.Manifest(version or self.version, dim, self.similarity, *counts, digests, DATASET.to_dict())

    def publish(self, s3: Any, bucket: str, manifest: artifacts.Manifest | None = None, changed: Any = None) -> None:
        """Writes all files, the manifest last. `changed` replaces a file's content but not its digest (by stem)."""
        for name, content in self.files().items():
            stem = name.rsplit("/")[-1].split(".")[0]
            s3.put_object(Bucket=bucket, Key=f"{self.version}/{name}", Body=(changed or {}).get(stem, content))
        body = (manifest or self.manifest()).to_json()
        s3.put_object(Bucket=bucket, Key=f"{self.version}/{artifacts.MANIFEST}", Body=body.encode())


def world(version: str, n_items: int = 60, n_users: int = 20, seed: int = 1, **changes: Any) -> World:
    """Items `I0`… in clusters, users `100`… near them, with recent items."""
    dice = np.random.default_rng(seed)
    item_ids = [f"I{number}" for number in range(n_items)]
    user_ids = [str(100 + number) for number in range(n_users)]
    items, users = clustered(dice, n_items), clustered(dice, n_users)
    recent = {user: dice.choice(item_ids, size=3, replace=False).tolist() for user in user_ids}
    made = World(version, item_ids, items, user_ids, users, recent=recent, tower=user_tower(DIM))
    made = replace(made, item_tower=item_tower(DIM))
    return replace(made, **changes)


def clustered(dice: np.random.Generator, count: int, dim: int = DIM, clusters: int = 12) -> Any:
    centres = dice.normal(size=(clusters, dim))
    return (centres[dice.integers(clusters, size=count)] + 0.4 * dice.normal(size=(count, dim))).astype(np.float32)


def embeddings_csv(ids: Sequence[str], vectors: Any) -> bytes:
    rows = ((id_, json.dumps([round(float(x), 7) for x in vector])) for id_, vector in zip(ids, vectors, strict=True))
    return csv_bytes(artifacts.EMBEDDING_COLUMNS, rows)


def csv_bytes(columns: Sequence[str], rows: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def user_tower(dim: int) -> bytes:
    """The contract's graph: mean of the recent items' vectors + creditLimit/1e6 in the first place (none: 0).

    The text features are inputs, as in a trained tower, and shift the second place by 10 where the city is "Nantes".
    """
    constant = numpy_helper.from_array
    names = [column.name for column in DATASET.users.features]
    inputs = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT if name == "creditLimit" else TensorProto.STRING, ["batch"]
        )
        for name in names
    ]
    inputs += [
        helper.make_tensor_value_info(artifacts.RECENT_ITEMS_INPUT, TensorProto.FLOAT, ["batch", "n_recent", dim]),
        helper.make_tensor_value_info(artifacts.RECENT_ITEMS_MASK_INPUT, TensorProto.FLOAT, ["batch", "n_recent"]),
    ]
    first, second = np.eye(dim, dtype=np.float32)[:2]
    initializers = [
        constant(np.array([2], np.int64), "axis_2"),
        constant(np.array([1], np.int64), "axis_1"),
        constant(np.array(1, np.float32), "one"),
        constant(np.array(0, np.float32), "zero"),
        constant(np.array(1e6, np.float32), "million"),
        constant(first[None], "first"),
        constant((10 * second)[None], "second"),
        constant(np.array(["Nantes"], dtype=object), "city_name"),
    ]
    node = helper.make_node
    nodes = [
        node("Unsqueeze", [artifacts.RECENT_ITEMS_MASK_INPUT, "axis_2"], ["mask_3d"]),
        node("Mul", [artifacts.RECENT_ITEMS_INPUT, "mask_3d"], ["masked"]),
        node("ReduceSum", ["masked", "axis_1"], ["total"], keepdims=0),
        node("ReduceSum", [artifacts.RECENT_ITEMS_MASK_INPUT, "axis_1"], ["count"], keepdims=1),
        node("Max", ["count", "one"], ["at_least_one"]),
        node("Div", ["total", "at_least_one"], ["mean"]),
        node("IsNaN", ["creditLimit"], ["no_credit"]),
        node("Where", ["no_credit", "zero", "creditLimit"], ["credit"]),
        node("Div", ["credit", "million"], ["credit_scaled"]),
        node("Unsqueeze", ["credit_scaled", "axis_1"], ["credit_2d"]),
        node("Mul", ["credit_2d", "first"], ["credit_part"]),
        node("Equal", ["city", "city_name"], ["is_city"]),
        node("Cast", ["is_city"], ["city_number"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["city_number", "axis_1"], ["city_2d"]),
        node("Mul", ["city_2d", "second"], ["city_part"]),
        node("Sum", ["mean", "credit_part", "city_part"], [artifacts.USER_VECTOR_OUTPUT]),
    ]
    return _model("user_tower", nodes, inputs, artifacts.USER_VECTOR_OUTPUT, dim, initializers)


def item_tower(dim: int) -> bytes:
    """The contract's graph: buyPrice / 1000 (none: 0.001) and 1. All features are inputs, as in a trained tower."""
    constant, node = numpy_helper.from_array, helper.make_node
    inputs = [
        helper.make_tensor_value_info(
            column.name, TensorProto.FLOAT if column.kind.is_number else TensorProto.STRING, ["batch"]
        )
        for column in DATASET.items.features
    ]
    initializers = [
        constant(np.array([1], np.int64), "axis_1"),
        constant(np.array(1, np.float32), "one"),
        constant(np.array(1e3, np.float32), "thousand"),
        constant(np.eye(dim, dtype=np.float32)[:1], "first"),
        constant(np.eye(dim, dtype=np.float32)[1:2], "second"),
    ]
    nodes = [
        node("IsNaN", ["buyPrice"], ["no_price"]),
        node("Where", ["no_price", "one", "buyPrice"], ["price"]),
        node("Div", ["price", "thousand"], ["thousands"]),
        node("Unsqueeze", ["thousands", "axis_1"], ["price_2d"]),
        node("Mul", ["price_2d", "first"], ["price_part"]),
        node("Add", ["price_part", "second"], [artifacts.ITEM_VECTOR_OUTPUT]),
    ]
    return _model("item_tower", nodes, inputs, artifacts.ITEM_VECTOR_OUTPUT, dim, initializers)


def _model(name: str, nodes: Any, inputs: Any, output: str, dim: int, initializers: Any) -> bytes:
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", dim])]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def expected_user_vector(recent: Any, credit: float | None = None, city: str = "") -> Any:
    """Computes the vector of `user_tower` in NumPy."""
    vector = np.mean(recent, axis=0) if len(recent) else np.zeros(DIM)
    vector = vector.astype(np.float64)
    vector[0] += (credit or 0) / 1e6
    vector[1] += 10 if city == "Nantes" else 0
    return vector
