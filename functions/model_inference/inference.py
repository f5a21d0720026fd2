"""Answers a call whatever happens beside it: follows the active version, and tries again where something gave way."""

import time
from dataclasses import dataclass
from typing import Any

import psycopg

from contracts.artifacts import USER_TOWER, Manifest, read_manifest
from contracts.dataset import from_dict
from functions.model_inference import store
from functions.model_inference.model import ModelError, UserTower
from functions.model_inference.recommend import recommend
from functions.model_inference.requests import Request, RequestError, read_request, request_id
from functions.shared import versions
from functions.shared.artifacts import ArtifactBucket
from functions.shared.database import Connection, KeptConnection
from functions.shared.deadline import Deadline

STATEMENT_SECONDS = 20.0
RETRY_SECONDS = 0.1
MODELS_KEPT = 2
"""The active model and the one before it, so that a rollback needs no download."""

_VERSION_IS_GONE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
"""What a reader meets where the version that it works with was dropped in the middle of a batch."""


@dataclass(frozen=True)
class Model:
    """What a version needs in memory. Without a tower, stored vectors serve."""

    manifest: Manifest
    tower: UserTower | None


class Inference:
    """The warm state of a function: one connection and the latest models."""

    def __init__(self, connection: KeptConnection, bucket: ArtifactBucket) -> None:
        self._connection = connection
        self._bucket = bucket
        self._models: dict[str, Model] = {}
        self._latest: str | None = None

    def answer(self, raw_requests: list[Any], limit: int, deadline: Deadline) -> dict[str, Any]:
        """The answer to a call, a response for each request, in order.

        Raises `DatabaseUnavailableError`, `NoActiveVersionError`, `ManifestError` or psycopg's error where nothing can
        be answered before the deadline.
        """
        good, answers = _read(raw_requests)
        version, found = self._recommend(good, limit, deadline)
        responses = iter(found)
        return {
            "model_version": version,
            "responses": [next(responses) if answer is None else answer for answer in answers],
        }

    def _recommend(self, requests: list[Request], limit: int, deadline: Deadline) -> tuple[str, list[dict[str, Any]]]:
        while True:
            try:
                connection = self._connection.get(deadline.at)
                model = self._active_model(connection)
                manifest = model.manifest
                tables = store.Store(connection, manifest.version, manifest.similarity, manifest.dim)
                return manifest.version, recommend(tables, model.tower, requests, limit)
            except _VERSION_IS_GONE:
                if time.monotonic() >= deadline.at:
                    raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # The server went away, refuses, or took too long: on a new connection, while there is time.
                self._connection.drop()
                if time.monotonic() + RETRY_SECONDS >= deadline.at:
                    raise
                time.sleep(RETRY_SECONDS)

    def _active_model(self, connection: Connection) -> Model:
        """The model of the version that the pointer names at this moment."""
        version, manifest_text = versions.active(connection, self._latest)
        if manifest_text is not None and version not in self._models:
            self._models[version] = self._load(manifest_text)
        self._latest = version
        # The latest goes to the end, so that the one that was not used for longest is at the front.
        model = self._models[version] = self._models.pop(version)
        while len(self._models) > MODELS_KEPT:
            self._models.pop(next(iter(self._models)))
        return model

    def _load(self, manifest_text: str) -> Model:
        manifest = read_manifest(manifest_text)
        if USER_TOWER not in manifest.files:
            return Model(manifest, None)
        if manifest.dataset is None:
            raise ModelError(f"{manifest.version}: expected a dataset specification beside the user tower, found none")
        content = self._bucket.read(manifest, USER_TOWER)
        return Model(manifest, UserTower(content, from_dict(manifest.dataset, f"manifest of {manifest.version}")))


def _read(raw_requests: list[Any]) -> tuple[list[Request], list[dict[str, Any] | None]]:
    """The good requests, and for each of all requests the answer of a bad one or `None`."""
    good: list[Request] = []
    answers: list[dict[str, Any] | None] = []
    for raw in raw_requests:
        try:
            good.append(read_request(raw))
            answers.append(None)
        except RequestError as error:
            answers.append({"id": request_id(raw), "error": str(error)})
    return good, answers
