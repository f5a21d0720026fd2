"""Writes a trained model as the files that `contracts.artifacts` names, the manifest last."""

import csv
import io
import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contracts import artifacts as contract
from contracts import attributes
from contracts.columns import Column, Kind
from training import onnx_export, report, scoring, similar
from training.data import RatingData
from training.entities import EntityTable
from training.exclusion import excluded
from training.fit import Inputs, Settings
from training.history import History
from training.joined import Model
from training.plots import draw


@dataclass(frozen=True)
class TrainedModel:
    """A model that is trained on all of the data, with its metrics."""

    data: RatingData
    inputs: Inputs
    model: Model
    settings: Settings
    metrics: Mapping[str, Any]


def write(
    trained: TrainedModel, folder: Path, history: History | None = None, names: Mapping[str, str] | None = None
) -> contract.Manifest:
    """Writes every file but the manifest into the folder, and returns the manifest.

    For the report, `history` are earlier versions with their metrics, and `names` item ids with the items' names.
    """
    data, items = trained.data, scoring.item_vectors(trained.model, trained.inputs)
    everyone = np.arange(len(data.users))
    recent = scoring.recent_items(data)
    users = scoring.user_vectors(trained.model, trained.inputs, items, everyone, recent)
    _check_finite(items, users)
    metrics = {**trained.metrics, "recommendable": int(in_stock(data).sum())}
    files = {
        contract.ITEM_EMBEDDINGS: _embeddings(data.items.ids, items),
        contract.USER_EMBEDDINGS: _embeddings(data.users.ids, users),
        contract.CHECKPOINT: _checkpoint(trained),
        **_towers(trained),
        contract.ITEM_CATALOG: _csv(contract.ITEM_CATALOG_COLUMNS, _catalog(data)),
        contract.USER_CATALOG: _csv(contract.USER_CATALOG_COLUMNS, _users(data, recent)),
        **_similar(data, items, trained.settings.similarity),
        contract.METRICS: json.dumps(metrics, indent=1).encode(),
        **_scalers(data),
    }
    plots = draw(data, metrics, items)
    version = contract.new_version(content=files[contract.ITEM_EMBEDDINGS] + files[contract.USER_EMBEDDINGS])
    examples = report.examples(data, items, users, names or {})
    page = report.page(data, metrics, plots, examples, version, history or [], names or {})
    files |= {contract.REPORT: page.encode(), **plots}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return contract.Manifest(
        version=version,
        dim=trained.model.dim,
        similarity=trained.settings.similarity,
        n_items=len(items),
        n_users=len(users),
        files=digests(folder),
        dataset=data.dataset.to_dict(),
        metrics=metrics,
        norms={"items": _norms(items), "users": _norms(users)},
    )


def digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file in the folder but the manifest, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: contract.file_sha256(path) for name, path in names.items() if name != contract.MANIFEST}


def _check_finite(*tables: npt.NDArray[np.float32]) -> None:
    if not all(np.isfinite(table).all() for table in tables):
        raise ArithmeticError("training diverged: the vectors hold NaN or infinity; lower the learning rate")


def _norms(vectors: npt.NDArray[np.float32]) -> list[float]:
    """Returns the smallest and the greatest length."""
    lengths = np.linalg.norm(vectors, axis=1)
    return [float(lengths.min()), float(lengths.max())]


def _embeddings(ids: Sequence[str], vectors: npt.NDArray[np.float32]) -> bytes:
    """Returns vectors as CSV. Nine significant digits give back the same 32-bit float."""
    rows = (
        (key, "[" + ",".join(f"{number:.9g}" for number in vector) + "]")
        for key, vector in zip(ids, vectors, strict=True)
    )
    return _csv(contract.EMBEDDING_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def in_stock(data: RatingData) -> npt.NDArray[np.bool_]:
    """Returns (n_items,). A missing stock is not managed, so the item counts as in stock."""
    stock = data.dataset.items.in_stock
    return ~(data.items.columns[stock] <= 0) if stock else np.ones(len(data.items), dtype=bool)


def _catalog(data: RatingData) -> Iterable[tuple[str, str, str, str]]:
    share = np.bincount(data.item, minlength=len(data.items)) / len(data.item)
    rows = zip(data.items.ids, in_stock(data), share, _attributes(data), strict=True)
    for key, there, popularity, shown in rows:
        yield key, "true" if there else "false", repr(float(popularity)), attributes.to_json(shown)


def _attributes(data: RatingData) -> Iterable[dict[str, attributes.Value]]:
    """Returns the attributes of each item, in the order of the ids."""
    there, names = set(data.items.rows.column_names), data.dataset.catalogue_names
    columns = {column: name for column, name in names.items() if name in there}
    for batch in data.items.rows.select(list(columns.values())).to_batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield attributes.attributes(data.dataset.items, dict(zip(columns, row, strict=True)))


def _users(data: RatingData, recent: npt.NDArray[np.int64]) -> Iterable[tuple[str, str, str]]:
    left_out = excluded(data, np.ones(len(data.user), dtype=bool))
    for user, key in enumerate(data.users.ids):
        items = left_out.indices[left_out.indptr[user] : left_out.indptr[user + 1]]
        yield key, _ids(data, recent[user][recent[user] >= 0]), _ids(data, items)


def _similar(data: RatingData, vectors: npt.NDArray[np.float32], similarity: str) -> dict[str, bytes]:
    """Returns no file for a catalogue in which the load finds them faster."""
    if len(vectors) > similar.MOST_ITEMS:
        return {}
    found = similar.nearest(vectors, in_stock(data), similarity)
    rows = zip(data.items.ids, (json.dumps(_near(data, *near)) for near in found), strict=True)
    return {contract.SIMILAR_ITEMS: _csv(contract.SIMILAR_ITEMS_COLUMNS, rows)}


def _near(data: RatingData, items: similar.Indices, distances: similar.Distances) -> list[tuple[str, float]]:
    rounded = (round(float(distance), contract.SCORE_DIGITS) for distance in distances)
    return [(data.items.ids[item], distance) for item, distance in zip(items, rounded, strict=True)]


def _ids(data: RatingData, items: Iterable[int]) -> str:
    return json.dumps([data.items.ids[item] for item in items])


def _checkpoint(trained: TrainedModel) -> bytes:
    """Returns the checkpoint, with weights and settings only: `torch.load(…, weights_only=True)` reads it."""
    buffer = io.BytesIO()
    torch.save({"weights": trained.model.state_dict(), "settings": asdict(trained.settings)}, buffer)
    return buffer.getvalue()


def _towers(trained: TrainedModel) -> dict[str, bytes]:
    shape = trained.inputs.shape
    towers = {contract.USER_TOWER: onnx_export.user_tower(trained.model.users, shape.user_encodings, trained.model.dim)}
    if shape.item_encodings:
        towers[contract.ITEM_TOWER] = onnx_export.item_tower(trained.model.items, shape.item_encodings)
    return towers


def _scalers(data: RatingData) -> dict[str, bytes]:
    """Returns scikit-learn encoders of the raw features, for data scientists; this system does not read them."""
    parts = []
    for table, entity in ((data.users, data.dataset.users), (data.items, data.dataset.items)):
        parts += [_one_hot(table, entity.features), _standard(table, entity.features)]
    return {path: pickle.dumps(part) for path, part in zip(contract.SCALERS, parts, strict=True)}


def _one_hot(table: EntityTable, columns: Iterable[Column]) -> OneHotEncoder:
    names = [column.name for column in columns if column.kind in (Kind.CATEGORICAL, Kind.BOOLEAN)]
    encoder = OneHotEncoder(handle_unknown="ignore")
    if names:
        encoder.fit(np.stack([table.columns[name] for name in names], axis=1))
        encoder.feature_names_in_ = np.asarray(names, dtype=object)
    return encoder


def _standard(table: EntityTable, columns: Iterable[Column]) -> StandardScaler:
    names = [column.name for column in columns if column.kind.is_number]
    scaler = StandardScaler()
    if names:
        scaler.fit(np.stack([table.columns[name] for name in names], axis=1))
        scaler.feature_names_in_ = np.asarray(names, dtype=object)
    return scaler
