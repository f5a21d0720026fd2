"""A published version as inference serves it: stored item vectors and `user_tower.onnx`, no torch."""

import csv
import io
import json
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import onnxruntime

from contracts import artifacts as contract
from contracts.dataset import Entity, Kind
from training.data import EntityTable, RatingData
from training.errors import TrainingError
from training.histories import Cases, Indices, histories
from training.metrics import Scorer, Scores
from training.storage import Folder, folder


@dataclass(frozen=True)
class Served:
    """A version's item vectors (n_items, dim) by id, its user tower (or none) and its stored users."""

    manifest: contract.Manifest
    items: dict[str, npt.NDArray[np.float32]]
    users: dict[str, npt.NDArray[np.float32]]
    tower: onnxruntime.InferenceSession | None


def load(location: str) -> Served:
    """Reads a version's manifest and its files. Raises `TrainingError` if a file's checksum differs from the
    manifest's."""
    root = folder(location)
    text = root.read(contract.MANIFEST)
    if text is None:
        raise TrainingError(f"{root}: expected a version's {contract.MANIFEST}, found none: check the version's folder")
    try:
        manifest = contract.read_manifest(text)
    except contract.ManifestError as error:
        raise TrainingError(f"{root}: {error}") from error
    has_tower = contract.USER_TOWER in manifest.files
    tower = onnxruntime.InferenceSession(_file(root, manifest, contract.USER_TOWER)) if has_tower else None
    items, users = (
        _vectors(_file(root, manifest, path)) for path in (contract.ITEM_EMBEDDINGS, contract.USER_EMBEDDINGS)
    )
    return Served(manifest, items, users, tower)


def scorer(served: Served, data: RatingData, cases: Cases) -> Scorer:
    """Scores all items of the data for the cases; an item that the version does not have comes last."""
    nothing = np.zeros(served.manifest.dim, dtype=np.float32)
    items = np.stack([served.items.get(key, nothing) for key in data.items.ids])
    known = np.array([key in served.items for key in data.items.ids])
    history = histories(data, cases.known)

    def score(chunk: Indices) -> Scores:
        users = cases.user[chunk]
        if served.tower is None:
            vectors = np.stack([served.users.get(data.users.ids[user], nothing) for user in users])
        else:
            recent = history.recent(users)
            there = (recent >= 0) & known[np.maximum(recent, 0)]
            inputs = tower_inputs(data.users, data.dataset.users, users)
            inputs[contract.RECENT_ITEMS_INPUT] = items[np.maximum(recent, 0)] * there[:, :, None]
            inputs[contract.RECENT_ITEMS_MASK_INPUT] = there.astype(np.float32)
            (vectors,) = served.tower.run([contract.USER_VECTOR_OUTPUT], inputs)
        scores: Scores = np.where(known, vectors @ items.T, -1e9).astype(np.float32)
        return scores

    return score


def tower_inputs(table: EntityTable, entity: Entity, users: Indices) -> dict[str, npt.NDArray[np.generic]]:
    """The users' raw features as `user_tower.onnx` takes them."""
    inputs: dict[str, npt.NDArray[np.generic]] = {}
    for column in entity.features:
        values = table.columns[column.name][users]
        if column.kind is Kind.TAGS:
            longest = max(1, max(map(len, values), default=1))
            values = np.array([[*tags, *[""] * (longest - len(tags))] for tags in values], dtype=object)
        inputs[column.name] = values.astype(np.float32) if column.kind.is_number else values
    return inputs


def _file(root: Folder, manifest: contract.Manifest, path: str) -> bytes:
    content = root.read(path)
    if content is None or sha256(content).hexdigest() != manifest.files[path]:
        found = "no such file" if content is None else "other content (sha256)"
        raise TrainingError(f"{root}/{path}: expected the file that {contract.MANIFEST} names, found {found}")
    return content


def _vectors(content: bytes) -> dict[str, npt.NDArray[np.float32]]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return {row["id"]: np.array(json.loads(row["embedding"]), dtype=np.float32) for row in rows}
