"""Answers from the active version; reconnects, and falls back to an earlier version, where something fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from contracts.artifacts import ManifestError, read_manifest
from contracts.metrics import VERSION_FALLBACKS
from functions.shared import versions
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import Connection, KeptConnection, ended_at
from functions.shared.deadline import Deadline
from functions.shared.serving import store
from functions.shared.serving.graph import ModelError
from functions.shared.serving.recommend import recommend
from functions.shared.serving.requests import (
    Act,
    Request,
    RequestError,
    is_act,
    read_act,
    read_request,
    request_id,
)
from functions.shared.serving.rules_file import RulesFile
from functions.shared.serving.tower import Model, load_model
from functions.shared.telemetry import Logger, Metrics, count

STATEMENT_SECONDS = 20.0
RETRY_SECONDS = 0.1
MODELS_KEPT = 2
"""Models kept in memory: the active one and the one before it, so that a rollback needs no download."""

AVOIDED_SECONDS = 30.0
"""Seconds in which a version that could not be served is not tried again, while another one answers in its place."""

Answer = TypeVar("Answer")

CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError)


@dataclass(frozen=True)
class Fallback:
    """The active version could not be served, and why."""

    version: str
    error: Exception

    def report(self, logger: Logger, metrics: Metrics, served: str) -> None:
        """The metric has an alarm (components/monitoring.py)."""
        count(metrics, VERSION_FALLBACKS, 1)
        # Texts of other errors may hold values of an event.
        reason = str(self.error) if isinstance(self.error, ModelError | ManifestError) else ""
        fields = {"active": self.version, "served": served, "error": type(self.error).__name__, "reason": reason}
        logger.error("the active version cannot be served", extra=fields)


@dataclass(frozen=True)
class _Avoided:
    version: str
    error: Exception
    until: float


class Inference:
    """The warm state of a function: one connection and the latest models."""

    def __init__(self, connection: KeptConnection, bucket: ArtifactBucket) -> None:
        self.rules = RulesFile(bucket.name)
        self._connection = connection
        self._bucket = bucket
        self._models: dict[str, Model] = {}
        self._latest: str | None = None
        self._avoided: _Avoided | None = None
        self.fallback: Fallback | None = None
        """Set by `answer` if another version than the active one answered."""

    def run(
        self, work: Callable[[store.Store, Model], Answer], deadline: Deadline, asks_known: bool = False
    ) -> tuple[str, Answer]:
        """Returns the version that answered, and what the work gives for its tables and its model.

        A work that asks for `Store.known` before all else needs no statement of its own for the active version. The
        work may run more than once. Raises `DatabaseUnavailableError`, `NoActiveVersionError`, `ManifestError` or
        psycopg's error where nothing can be answered before the deadline.
        """
        while True:
            try:
                connection = self._connection.get(deadline.at)
                with ended_at(connection, deadline.at):
                    return self._serve(connection, work, deadline, asks_known)
            except CONNECTION_ERRORS:
                # The server went away, refuses, or took too long: on a new connection, while there is time.
                self._connection.drop()
                if time.monotonic() + RETRY_SECONDS >= deadline.at:
                    raise
                time.sleep(RETRY_SECONDS)

    def answer(self, raw_requests: list[Any], limit: int, deadline: Deadline) -> dict[str, Any]:
        """Returns the answer to a call, with a response for each request, in order. Raises as `run`.

        What it has to note comes first, so that it is left out for the requests of the same call.
        """
        acts, good, answers = _read(raw_requests)
        rules = self.rules.in_force()

        def work(tables: store.Store, model: Model) -> list[dict[str, Any]]:
            tables.note(acts)
            return recommend(tables, model.tower, good, limit, rules)

        version, found = self.run(work, deadline, asks_known=bool(good))
        responses = iter(found)
        return {
            "model_version": version,
            "responses": [next(responses) if answer is None else answer for answer in answers],
        }

    def _serve(
        self, connection: Connection, work: Callable[[store.Store, Model], Answer], deadline: Deadline, asks_known: bool
    ) -> tuple[str, Answer]:
        """Answers from the active version; if it cannot be served, from the last earlier one that can."""
        self.fallback = None
        failures: dict[str, Exception] = {}
        if self._avoided and time.monotonic() < self._avoided.until:
            failures[self._avoided.version] = self._avoided.error
        elif asks_known and self._latest is not None:
            try:
                model = self._models[self._latest]
                return self._latest, work(self._tables(connection, model, must_be_active=True), model)
            except CONNECTION_ERRORS:
                raise
            except Exception:  # noqa: S110  another version is active, or this one is gone: what follows finds out
                pass
        while True:
            active, version, manifest_text = self._choose(connection, failures)
            try:
                model = self._model(version, manifest_text)
                answer = work(self._tables(connection, model), model)
            except CONNECTION_ERRORS:
                raise
            except Exception as error:  # whatever is wrong with a version, events are answered from another
                failures[version] = error
                if time.monotonic() >= deadline.at:
                    raise
                continue
            if version != active:
                self.fallback = Fallback(active, failures[active])
                self._avoid(active, failures[active])
            return version, answer

    def _tables(self, connection: Connection, model: Model, must_be_active: bool = False) -> store.Store:
        manifest = model.manifest
        return store.Store(
            connection,
            manifest.version,
            manifest.similarity,
            manifest.dim,
            model.serving,
            must_be_active=must_be_active,
            bought_days=self.rules.last.bought_days,
        )

    def _choose(self, connection: Connection, failures: dict[str, Exception]) -> tuple[str, str, str | None]:
        """Returns the active version, the version to answer from, and its manifest (`None`: it is in memory)."""
        active, manifest_text = versions.active(connection, self._latest)
        if active not in failures:
            return active, active, manifest_text
        for version, text in versions.before(connection):
            if version not in failures:
                return active, version, text
        error, self._avoided = failures[active], None
        raise error

    def _avoid(self, version: str, error: Exception) -> None:
        """Remembers a version that failed, so that its files are not fetched again at every call."""
        if self._avoided is None or self._avoided.error is not error:
            self._avoided = _Avoided(version, error, time.monotonic() + AVOIDED_SECONDS)

    def _model(self, version: str, manifest_text: str | None) -> Model:
        if version not in self._models:
            assert manifest_text is not None, "the manifest is left out for the latest model alone, which is kept"
            self._models[version] = load_model(self._bucket, read_manifest(manifest_text))
        self._latest = version
        # The latest goes to the end, so that the one that was not used for longest is at the front.
        model = self._models[version] = self._models.pop(version)
        while len(self._models) > MODELS_KEPT:
            self._models.pop(next(iter(self._models)))
        return model


def _read(raw_requests: list[Any]) -> tuple[list[Act], list[Request], list[dict[str, Any] | None]]:
    """Returns what is to be noted, the requests for recommendations, and an answer for each of all: `None` for what is
    recommended, the bare id for what is noted, the error for what is invalid."""
    acts: list[Act] = []
    good: list[Request] = []
    answers: list[dict[str, Any] | None] = []
    for raw in raw_requests:
        try:
            if is_act(raw):
                acts += read_act(raw)
                answers.append({"id": request_id(raw)})
            else:
                good.append(read_request(raw))
                answers.append(None)
        except RequestError as error:
            answers.append({"id": request_id(raw), "error": str(error)})
    return acts, good, answers
