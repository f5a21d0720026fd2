"""A model as it is served: stored item vectors, and the user tower's graph, which inference's own code runs."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from contracts import artifacts as contract
from contracts.dataset import Dataset
from functions.embedding_loader.reader import embeddings
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.serving.graph import ModelError
from functions.shared.serving.tower import UserTower, dataset_of
from training import onnx_export, scoring
from training.data import RatingData
from training.entities import EntityTable
from training.errors import TrainingError
from training.fit import Inputs
from training.folders import FolderArtifacts, folder
from training.histories import Cases, Indices, histories
from training.joined import Model
from training.metrics import Scorer, Scores


@dataclass(frozen=True)
class Served:
    """A version's item vectors (dim,) by id, its user tower (or none) and its stored users."""

    version: str
    dim: int
    items: dict[str, npt.NDArray[np.float32]]
    users: dict[str, npt.NDArray[np.float32]]
    tower: UserTower | None


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
    files, tower = FolderArtifacts(root), None
    try:
        if contract.USER_TOWER in manifest.files:
            tower = _tower(files.read(manifest, contract.USER_TOWER), manifest)
        items, users = (_vectors(files, manifest, n) for n in (contract.ITEM_EMBEDDINGS, contract.USER_EMBEDDINGS))
    except contract.ManifestError as error:
        raise TrainingError(f"{root}: {error}") from error
    return Served(manifest.version, manifest.dim, items, users, tower)


def of(model: Model, inputs: Inputs, data: RatingData) -> Served:
    """Returns a trained model as it will be served when it is published."""
    items = dict(zip(data.items.ids, scoring.item_vectors(model, inputs), strict=True))
    content = onnx_export.user_tower(model.users, inputs.shape.user_encodings, model.dim)
    return Served("this one", model.dim, items, {}, _by_column(content, data.dataset))


def scorer(
    served: Served, data: RatingData, cases: Cases, limit: int = contract.MAX_RECENT_ITEMS, features: bool = True
) -> Scorer:
    """Scores all items of the data for the cases; an item that the version does not have comes last.

    For a new visitor's session, `limit` is the number of recent items that are passed, and `features` false passes no
    features of the user.
    """
    nothing = np.zeros(served.dim, dtype=np.float32)
    items = np.stack([served.items.get(key, nothing) for key in data.items.ids])
    known = np.array([key in served.items for key in data.items.ids])
    history = histories(data, cases.known)

    def score(chunk: Indices) -> Scores:
        users = cases.user[chunk]
        if served.tower is None:
            vectors = np.stack([served.users.get(data.users.ids[user], nothing) for user in users])
        else:
            recent = history.recent(users, limit)
            there = (recent >= 0) & known[np.maximum(recent, 0)]
            histories_of = [items[row[is_there]] for row, is_there in zip(recent, there, strict=True)]
            said = told(data.users, served.tower, users) if features else [{}] * len(users)
            try:
                vectors = served.tower.vectors(said, histories_of)
            except ModelError as error:
                raise TrainingError(f"version {served.version}: {error}") from error
        scores: Scores = np.where(known, vectors @ items.T, -1e9).astype(np.float32)
        return scores

    return score


def told(table: EntityTable, tower: UserTower, users: Indices) -> list[dict[str, object]]:
    """Returns the users' features in the form of an event, for the columns that the tower reads.

    These are the columns of the version, which may differ from those of the data. A column that the data lacks is
    missing.
    """
    columns = {key: table.columns[key] for key in tower.event_features if key in table.columns}
    return [{key: values[user] for key, values in columns.items()} for user in users]


def lacks(served: Served, data: RatingData) -> list[str]:
    """Returns the columns of users that the version's tower reads and the data lacks."""
    read = served.tower.event_features if served.tower else ()
    return sorted(key for key in read if key not in data.users.columns)


def _tower(content: bytes, manifest: contract.Manifest) -> UserTower:
    try:
        dataset = dataset_of(manifest)
        if dataset is None:
            raise ModelError("expected a dataset specification beside the user tower, found none")
        return _by_column(content, dataset)
    except ModelError as error:
        raise TrainingError(f"version {manifest.version}: {error}") from error


def _by_column(content: bytes, dataset: Dataset) -> UserTower:
    """Makes a tower that reads each feature under its column's name, whether or not events have a key for it."""
    names = {column.source or column.name for column in dataset.users.features}
    return UserTower(content, replace(dataset, event_features={name: name for name in names}))


def _vectors(files: ArtifactBucket, manifest: contract.Manifest, name: str) -> dict[str, npt.NDArray[np.float32]]:
    chunks = embeddings(files, manifest, name)
    return {id_.decode(): vector for chunk in chunks for id_, vector in zip(chunk.ids, chunk.vectors, strict=True)}
