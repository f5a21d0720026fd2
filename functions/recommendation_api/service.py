"""Answers the API's operations from the active model version; from memory while the database is away."""

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from contracts.events import CUSTOMER, PRODUCT, Strategy
from functions.shared.database import DatabaseUnavailableError
from functions.shared.deadline import Deadline
from functions.shared.http.checks import found
from functions.shared.http.problems import FieldError, ProblemError
from functions.shared.serving.inference import CONNECTION_ERRORS, Inference
from functions.shared.serving.recommend import answer_item, recommend, similar
from functions.shared.serving.requests import read_request, storable
from functions.shared.serving.store import Found, Store
from functions.shared.serving.tower import Model
from functions.shared.versions import NoActiveVersionError

SIMILAR = "similar"
"""The strategy of an answer of similar items, beside those of `contracts.events.Strategy`."""

DEFAULT_LIMIT = 10
"""Items of an answer where the request gives no limit; the default in the contract."""

REMEMBERED, REMEMBERED_SECONDS = 1000, 60.0
"""Popular items kept in memory, and the seconds after which they are read again with the next request."""

AWAY_SECONDS = 5
"""Seconds after a failure in which the database is not asked: requests are answered at once, with no time-out each."""

Answer = TypeVar("Answer")


@dataclass
class Memory:
    """The state that a Lambda environment keeps from one request to the next."""

    version: str = ""
    popular: Sequence[Found] = ()
    labels: Sequence[str] = ()
    read_at: float = float("-inf")
    away_until: float = float("-inf")


class _AwayError(Exception):
    """The vector store cannot be asked now."""


class Service:
    """Answers one invocation."""

    def __init__(self, inference: Inference, memory: Memory, deadline: Deadline) -> None:
        self._inference = inference
        self._memory = memory
        self._deadline = deadline
        self.from_memory = False
        """True after an answer from memory."""

    def recommend(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the items for a customer or a visitor, by the code that the stream is answered by."""
        id_, limit = _new_id(), asked.get("limit", DEFAULT_LIMIT)
        items, exclude = asked.get("items", []), asked.get("exclude", [])
        raw = {
            "id": id_,
            "user": {**asked.get("features", {}), CUSTOMER: asked.get("customer")},
            "items": [{PRODUCT: item} for item in items],
            "exclude": exclude,
            "similar": False,
            "attributes": True,
        }
        request = read_request(raw)
        try:
            version, labels, (answer,) = self._run(lambda store, model: recommend(store, model.tower, [request], limit))
        except _AwayError:
            return self._from_memory(id_, {*items, *exclude}, limit)
        if "error" in answer:
            raise _unavailable(f"the answer could not be computed: {answer['error']}")
        return _answer(id_, version, answer["strategy"], [_shown(item, labels) for item in answer["recommended_items"]])

    def similar(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the items like one item."""
        item, exclude, limit = asked["id"], asked.get("exclude", ()), asked.get("limit", DEFAULT_LIMIT)
        items: list[Found] | None = None
        if storable(item):
            try:
                version, labels, items = self._run(lambda store, _: similar(store, item, limit, exclude))
            except _AwayError as away:
                raise _unavailable("the vector store does not answer") from away
        if items is None:
            error = FieldError("id", "an item of the active model version", found(item))
            raise ProblemError(HTTPStatus.NOT_FOUND, f"id: expected {error.expected}, found {error.found}", [error])
        return _answer(_new_id(), version, SIMILAR if items else Strategy.NOTHING, _items(items, labels))

    def popular(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the most popular items in stock."""
        id_, limit = _new_id(), asked.get("limit", DEFAULT_LIMIT)
        exclude = [item for item in asked.get("exclude", []) if storable(item)]
        try:
            version, labels, (items,) = self._run(lambda store, _: store.popular([exclude], limit, [None], True))
        except _AwayError:
            return self._from_memory(id_, set(exclude), limit)
        return _popular(id_, version, items, labels)

    def health(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the active version, once its tables have answered."""
        try:
            version, _labels, _found = self._run(lambda store, model: store.popular([[]], 1, [None]))
        except _AwayError as error:
            raise _unavailable("the vector store does not answer") from error
        return {"status": "ok", "model_version": version}

    def _run(self, work: Callable[[Store, Model], Answer]) -> tuple[str, Sequence[str], Answer]:
        """Returns the version, the labels that its answers show of an item, and what the work gives.

        Raises `_AwayError` where the database does not answer in time, or has no version yet."""
        if time.monotonic() < self._memory.away_until:
            raise _AwayError
        try:
            version, (answer, popular, labels) = self._inference.run(
                lambda store, model: (work(store, model), self._popular_to_remember(store), model.labels),
                self._deadline,
            )
        except (DatabaseUnavailableError, NoActiveVersionError, *CONNECTION_ERRORS) as error:
            self._memory.away_until = time.monotonic() + AWAY_SECONDS
            raise _AwayError from error
        if popular is not None:
            self._memory.version, self._memory.popular, self._memory.labels = version, popular, labels
            self._memory.read_at = time.monotonic()
        return version, labels, answer

    def _popular_to_remember(self, store: Store) -> Sequence[Found] | None:
        """One statement more, once in `REMEMBERED_SECONDS`; `None` in between."""
        if time.monotonic() < self._memory.read_at + REMEMBERED_SECONDS:
            return None
        return store.popular([[]], REMEMBERED, [None], True)[0]

    def _from_memory(self, id_: str, hidden: Collection[str], limit: int) -> dict[str, Any]:
        """Raises `ProblemError` where nothing was read yet."""
        if not self._memory.version:
            raise _unavailable("the vector store does not answer, and no popular items are remembered")
        self.from_memory = True
        items = [found for found in self._memory.popular if found.id not in hidden]
        return _popular(id_, self._memory.version, items[:limit], self._memory.labels)


def _new_id() -> str:
    return uuid.uuid4().hex


def _unavailable(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=AWAY_SECONDS)


def _popular(id_: str, version: str, items: Sequence[Found], labels: Sequence[str]) -> dict[str, Any]:
    return _answer(id_, version, Strategy.POPULAR if items else Strategy.NOTHING, _items(items, labels))


def _items(items: Sequence[Found], labels: Sequence[str]) -> list[dict[str, Any]]:
    return [_shown(answer_item(item, with_attributes=True), labels) for item in items]


def _shown(item: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Returns the item with the attributes that answers show; the others are for filters and rules."""
    attributes = item["attributes"]
    return {**item, "attributes": {label: attributes[label] for label in labels if label in attributes}}


def _answer(id_: str, version: str, strategy: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"recommendation_id": id_, "model_version": version, "strategy": str(strategy), "items": items}
