"""The user tower: raw features and the vectors of recent items in, user vectors out (ONNX Runtime)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnxruntime

from contracts import features
from contracts.artifacts import RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT, USER_TOWER, USER_VECTOR_OUTPUT, Manifest
from contracts.dataset import Column, Dataset, DatasetError, Kind, from_dict
from functions.shared.artifacts import ArtifactBucket
from functions.shared.vectors import Vectors

RUN_ROWS = 512
"""Users of one run of the tower: its memory does not grow with the batch."""

SAME = 1e-5
"""Vectors that differ by no more than this share of their length are the same, rounded otherwise."""

NUMBERS, TEXTS = "tensor(float)", "tensor(string)"
"""ONNX Runtime's names of the types of inputs."""


class ModelError(ValueError):
    """A model that does not fit its manifest."""


@dataclass(frozen=True)
class Model:
    """The parts of a version that are kept in memory. Without a tower, stored vectors are used."""

    manifest: Manifest
    tower: "UserTower | None"


def load_model(bucket: ArtifactBucket, manifest: Manifest) -> Model:
    """Raises `ManifestError` or `ModelError` where the version cannot be run."""
    dataset = dataset_of(manifest)
    if USER_TOWER not in manifest.files:
        return Model(manifest, None)
    if dataset is None:
        raise ModelError(f"{manifest.version}: expected a dataset specification beside the user tower, found none")
    return Model(manifest, UserTower(bucket.read(manifest, USER_TOWER), dataset))


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


class UserTower:
    """The tower of one version. Raises `ModelError` where its inputs are not what the dataset specification says."""

    def __init__(self, model: bytes, dataset: Dataset) -> None:
        options = onnxruntime.SessionOptions()
        # A function has about one CPU: more threads would only wait for each other.
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class for each reason, and no common one
            raise ModelError(f"user tower: ONNX Runtime cannot load it: {error}") from error
        inputs = {given.name: given for given in self._session.get_inputs()}
        self._has_mask = RECENT_ITEMS_MASK_INPUT in inputs
        self.has_items = RECENT_ITEMS_INPUT in inputs
        self._columns = dataset.users.features
        self._check(inputs)
        self._tag_counts = {name: given.shape[1] for name, given in inputs.items() if len(given.shape) == 2}
        self._event_key = {column: key for key, column in dataset.event_features.items()}

    @property
    def event_features(self) -> Mapping[str, Column]:
        """The keys of an event that the tower reads."""
        keys = ((self._event_key.get(column.source or column.name), column) for column in self._columns)
        return {key: column for key, column in keys if key is not None}

    def has_features(self, user: Mapping[str, Any]) -> bool:
        """Returns True if the event has a value for any feature."""
        return not all(_is_missing(self._value(column, user)) for column in self._columns)

    def knows(self, users: Sequence[Mapping[str, Any]], dim: int) -> list[bool]:
        """For each user without a history: True if the model makes anything of the event's features.

        A category that no training has seen, or a number that cannot be meant, gives the vector of nobody at all.
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

    def _check(self, inputs: Mapping[str, Any]) -> None:
        expected = {column.name: NUMBERS if column.kind.is_number else TEXTS for column in self._columns}
        found = {name: given.type for name, given in inputs.items()}
        history = {name: NUMBERS for name in (RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT) if name in inputs}
        if found != expected | history:
            raise ModelError(f"user tower: expected the inputs {expected | history}, found {found}")
        outputs = [given.name for given in self._session.get_outputs()]
        if USER_VECTOR_OUTPUT not in outputs:
            raise ModelError(f"user tower: expected the output {USER_VECTOR_OUTPUT}, found {outputs}")

    def _run(self, users: Sequence[Mapping[str, Any]], recent: Sequence[Vectors]) -> Vectors:
        inputs: dict[str, Any] = {column.name: self._feature(column, users) for column in self._columns}
        if self.has_items:
            inputs[RECENT_ITEMS_INPUT], mask = _pad(recent)
            if self._has_mask:
                inputs[RECENT_ITEMS_MASK_INPUT] = mask
        try:
            output: Vectors = self._session.run([USER_VECTOR_OUTPUT], inputs)[0]
        except Exception as error:  # ONNX Runtime has a class for each reason, and no common one
            raise ModelError(f"user tower: it cannot be run: {error}") from error
        expected = (len(users), recent[0].shape[1])
        if output.shape != expected or output.dtype != np.float32:
            raise ModelError(f"user tower: expected float32 vectors {expected}, found {output.dtype} {output.shape}")
        return output

    def _value(self, column: Column, user: Mapping[str, Any]) -> Any:
        key = self._event_key.get(column.source or column.name)
        return features.value(column, None if key is None else user.get(key), datetime.now(UTC).date())

    def _feature(self, column: Column, users: Sequence[Mapping[str, Any]]) -> Any:
        values = [self._value(column, user) for user in users]
        if column.kind is Kind.TAGS:
            return _pad_tags(values, self._tag_counts.get(column.name))
        return np.array(values, dtype=np.float32 if column.kind.is_number else object)


def _is_missing(value: float | str | tuple[str, ...]) -> bool:
    return math.isnan(value) if isinstance(value, float) else not value


def _pad_tags(tags: Sequence[Sequence[str]], width: int | str | None) -> Any:
    """(len(tags), width) of text; the model says the width, or leaves it open."""
    columns = width if isinstance(width, int) else max(1, max(map(len, tags)))
    padded = np.full((len(tags), columns), "", dtype=object)
    for row, values in enumerate(tags):
        padded[row, : min(len(values), columns)] = values[:columns]
    return padded


def _pad(recent: Sequence[Vectors]) -> tuple[Vectors, Vectors]:
    """(len(recent), longest, dim) and its mask (len(recent), longest); the longest is at least 1."""
    longest = max(1, max(map(len, recent)))
    padded = np.zeros((len(recent), longest, recent[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(recent), longest), dtype=np.float32)
    for row, vectors in enumerate(recent):
        padded[row, : len(vectors)] = vectors
        mask[row, : len(vectors)] = 1
    return padded, mask
