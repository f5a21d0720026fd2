"""The towers as they are served: raw features in, vectors out. A user's also reads the vectors of recent items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from contracts import features
from contracts.artifacts import (
    ITEM_TOWER,
    ITEM_VECTOR_OUTPUT,
    RECENT_ITEMS_INPUT,
    RECENT_ITEMS_MASK_INPUT,
    USER_TOWER,
    USER_VECTOR_OUTPUT,
    Manifest,
)
from contracts.columns import Column, Kind
from contracts.dataset import Dataset, Serving
from contracts.dataset_file import DatasetError, from_dict
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.serving.graph import FeatureValue, Graph, ModelError, is_missing
from functions.shared.vectors import Vectors

RUN_ROWS = 512
"""Users or items of one run of a tower: its memory does not grow with the batch."""

SAME = 1e-5
"""Vectors that differ by no more than this share of their length are the same, rounded otherwise."""


@dataclass(frozen=True)
class Model:
    """The parts of a version that are kept in memory. Without a tower, stored vectors are used."""

    manifest: Manifest
    tower: "UserTower | None"
    serving: Serving
    """The policy by which items are left out of its answers."""
    labels: tuple[str, ...] = ()
    """The attributes that answers show of an item."""
    filters: frozenset[str] = frozenset()
    """The attributes that a request may filter by: those that answers show, and the features that are categories. Empty
    without a specification: then any."""


def load_model(bucket: ArtifactBucket, manifest: Manifest) -> Model:
    """Raises `ManifestError` or `ModelError` where the version cannot be run."""
    dataset = dataset_of(manifest)
    labels = tuple(dataset.items.shown) if dataset else ()
    filters = frozenset(labels) | (_categories(dataset) if dataset else set())
    if USER_TOWER not in manifest.files:
        return Model(manifest, None, serving_of(dataset), labels, filters)
    if dataset is None:
        raise ModelError(f"{manifest.version}: expected a dataset specification beside the user tower, found none")
    tower = UserTower(bucket.read(manifest, USER_TOWER), dataset)
    return Model(manifest, tower, dataset.serving, labels, filters)


def _categories(dataset: Dataset) -> set[str]:
    kinds = (Kind.CATEGORICAL, Kind.BOOLEAN, Kind.TAGS)
    return {column.name for column in dataset.items.columns if column.kind in kinds}


def load_item_tower(bucket: ArtifactBucket, manifest: Manifest) -> "ItemTower | None":
    """The tower that embeds an item no training has seen, if the version has one.

    Raises `ManifestError` or `ModelError` where it cannot be run.
    """
    if ITEM_TOWER not in manifest.files:
        return None
    dataset = dataset_of(manifest)
    if dataset is None:
        raise ModelError(f"{manifest.version}: expected a dataset specification beside the item tower, found none")
    return ItemTower(bucket.read(manifest, ITEM_TOWER), dataset, manifest.dim)


def dataset_of(manifest: Manifest) -> Dataset | None:
    """The manifest's dataset specification, if it has one. Raises `ModelError` where it cannot be read."""
    if manifest.dataset is None:
        return None
    try:
        return from_dict(manifest.dataset, f"manifest of {manifest.version}")
    except DatasetError as error:
        raise ModelError(str(error)) from error
    except Exception as error:  # whatever a manifest may say in a specification's place
        raise ModelError(f"manifest of {manifest.version}: expected a dataset specification: {error}") from error


def serving_of(dataset: Dataset | None) -> Serving:
    """Returns the policy by which a version leaves items out; the default for artifacts that were made elsewhere."""
    return Serving() if dataset is None else dataset.serving


class ItemTower:
    """The item tower of one version. Raises `ModelError` where its inputs are not the dataset's features of items."""

    def __init__(self, model: bytes, dataset: Dataset, dim: int) -> None:
        self._columns, self._dim = dataset.items.features, dim
        self._graph = Graph("item tower", model, self._columns, ITEM_VECTOR_OUTPUT)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The features that it reads: each one's raw value is under the name of its source's column."""
        return self._columns

    def vectors(self, items: Sequence[Mapping[str, Any]]) -> Vectors:
        """(len(items), dim). An item is its row of the source: raw values by column, what is not there is missing.

        Raises `ModelError` where the tower gives something else, or cannot run.
        """
        parts = [np.empty((0, self._dim), dtype=np.float32)]
        for start in range(0, len(items), RUN_ROWS):
            rows = [self._row(item) for item in items[start : start + RUN_ROWS]]
            parts.append(self._graph.run(rows, {}, self._dim))
        return np.concatenate(parts)

    def _row(self, item: Mapping[str, Any]) -> list[FeatureValue]:
        today = datetime.now(UTC).date()
        return [features.value(column, item.get(column.source or column.name), today) for column in self._columns]


class UserTower:
    """The tower of one version. Raises `ModelError` where its inputs are not what the dataset specification says."""

    def __init__(self, model: bytes, dataset: Dataset) -> None:
        self._columns = dataset.users.features
        history = (RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT)
        self._graph = Graph("user tower", model, self._columns, USER_VECTOR_OUTPUT, history)
        self.has_items = RECENT_ITEMS_INPUT in self._graph.others
        self._event_key = {column: key for key, column in dataset.event_features.items()}

    @property
    def event_features(self) -> Mapping[str, Column]:
        """The keys of an event that the tower reads."""
        keys = ((self._event_key.get(column.source or column.name), column) for column in self._columns)
        return {key: column for key, column in keys if key is not None}

    def has_features(self, user: Mapping[str, Any]) -> bool:
        """Returns True if the event has a value for any feature."""
        return not all(map(is_missing, self._row(user)))

    def knows(self, users: Sequence[Mapping[str, Any]], dim: int) -> list[bool]:
        """Returns True for each user without a history whose features change the vector.

        A category that no training has seen, or a number that cannot be meant, gives the vector of a user without
        features.
        """
        nobody, *found = self.vectors([{}, *users], [np.zeros((0, dim), dtype=np.float32)] * (1 + len(users)))
        least = SAME * max(float(np.linalg.norm(nobody)), 1.0e-12)
        return [bool(np.abs(vector - nobody).max() > least) for vector in found]

    def vectors(self, users: Sequence[Mapping[str, Any]], recent: Sequence[Vectors]) -> Vectors:
        """(len(users), dim). `recent[i]` are the vectors of a user's recent items, (n, dim), the most recent first.

        Raises `ModelError` where the tower gives something else, or cannot run.
        """
        parts = [
            self._run(users[start : start + RUN_ROWS], recent[start : start + RUN_ROWS])
            for start in range(0, len(users), RUN_ROWS)
        ]
        return np.concatenate(parts)

    def _run(self, users: Sequence[Mapping[str, Any]], recent: Sequence[Vectors]) -> Vectors:
        history = {}
        if self._graph.others:
            history = dict(zip((RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT), _pad(recent), strict=True))
        return self._graph.run([self._row(user) for user in users], history, recent[0].shape[1])

    def _row(self, user: Mapping[str, Any]) -> list[FeatureValue]:
        today = datetime.now(UTC).date()
        keys = (self._event_key.get(column.source or column.name) for column in self._columns)
        return [
            features.value(column, None if key is None else user.get(key), today)
            for column, key in zip(self._columns, keys, strict=True)
        ]


def _pad(recent: Sequence[Vectors]) -> tuple[Vectors, Vectors]:
    """(len(recent), longest, dim) and its mask (len(recent), longest); the longest is at least 1."""
    longest = max(1, max(map(len, recent)))
    padded = np.zeros((len(recent), longest, recent[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(recent), longest), dtype=np.float32)
    for row, vectors in enumerate(recent):
        padded[row, : len(vectors)] = vectors
        mask[row, : len(vectors)] = 1
    return padded, mask
