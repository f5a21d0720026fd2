"""Answers the API's operations from the active model version; from memory while the database is away."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar, cast

import numpy as np

from contracts.events import CUSTOMER, PRODUCT, Strategy
from contracts.rules import Where, matches
from functions.recommendation_api.answering import Answering, filter_of
from functions.shared.database import DatabaseUnavailableError
from functions.shared.deadline import Deadline
from functions.shared.http.checks import found, shortened
from functions.shared.http.problems import FieldError, ProblemError, bad_request
from functions.shared.serving.asked import Asked, Found
from functions.shared.serving.inference import CONNECTION_ERRORS, Inference
from functions.shared.serving.recommend import recommend, similar
from functions.shared.serving.requests import read_request, storable
from functions.shared.serving.rules import RulesInForce
from functions.shared.serving.search import Wanted, lists
from functions.shared.serving.selection import Selection, select
from functions.shared.serving.store import Store
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

Result = TypeVar("Result")


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
        limit, where, rules = asked.get("limit", DEFAULT_LIMIT), filter_of(asked), self._inference.rules.in_force()
        items, exclude = asked.get("items", []), asked.get("exclude", [])
        raw = {
            "id": "",
            "user": {**asked.get("features", {}), CUSTOMER: asked.get("customer")},
            "items": [{PRODUCT: item} for item in items],
            "exclude": exclude,
            "similar": False,
            "attributes": True,
        }
        request = read_request(raw, where, asked.get("diversity"))
        try:
            version, labels, (answer,) = self._run(
                lambda store, model: recommend(store, model.tower, [request], limit, rules), where, asks_known=True
            )
        except _AwayError:
            return self._from_memory(asked, where, {*request.session, *request.exclude}, rules)
        if "error" in answer:
            raise _unavailable(f"the answer could not be computed: {answer['error']}")
        answering = self._answering(version, labels, rules, asked)
        return answering.of(answer["strategy"], answer["recommended_items"], answer["left_out_by"])

    def similar(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the items like one item."""
        item, exclude, limit = asked["id"], asked.get("exclude", ()), asked.get("limit", DEFAULT_LIMIT)
        where, rules, diversity = filter_of(asked), self._inference.rules.in_force(), asked.get("diversity")
        found_items: Selection | None = None
        if storable(item):
            try:
                version, labels, found_items = self._run(
                    lambda store, _: similar(store, item, limit, exclude, where, rules, diversity),
                    where,
                    asks_known=True,
                )
            except _AwayError as away:
                raise _unavailable("the vector store does not answer") from away
        if found_items is None:
            error = FieldError("id", "an item of the active model version", found(item))
            raise ProblemError(HTTPStatus.NOT_FOUND, f"id: expected {error.expected}, found {error.found}", [error])
        return self._answering(version, labels, rules, asked).of_selection(SIMILAR, found_items)

    def popular(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the most popular items in stock."""
        limit, where, rules = asked.get("limit", DEFAULT_LIMIT), filter_of(asked), self._inference.rules.in_force()
        exclude = tuple(item for item in asked.get("exclude", []) if storable(item))
        wanted = Wanted(None, exclude, None, where, asked.get("diversity"))
        try:
            version, labels, (selection,) = self._run(
                lambda store, _: lists(store, [wanted], limit, rules, with_attributes=True), where
            )
        except _AwayError:
            return self._from_memory(asked, where, set(exclude), rules)
        return self._answering(version, labels, rules, asked).of_selection(Strategy.POPULAR, selection)

    def health(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the active version, once its tables have answered."""
        try:
            version, _labels, _found = self._run(lambda store, model: store.popular([[]], 1, [None]))
        except _AwayError as error:
            raise _unavailable("the vector store does not answer") from error
        return {"status": "ok", "model_version": version}

    def _run(
        self, work: Callable[[Store, Model], Result], where: Where | None = None, asks_known: bool = False
    ) -> tuple[str, Sequence[str], Result]:
        """Returns the version, the labels that its answers show of an item, and what the work gives.

        Raises `ProblemError` for a filter by an attribute that the version does not have, and `_AwayError` where the
        database does not answer in time, or has no version yet.
        """
        if time.monotonic() < self._memory.away_until:
            raise _AwayError

        def serve(store: Store, model: Model) -> tuple[Model, list[str], Result | None, Sequence[Found] | None]:
            unknown = sorted(set(where or ()) - model.filters) if model.filters else []
            if unknown:
                store.known((), {})  # a version that is active by now may have the attributes
            return model, unknown, None if unknown else work(store, model), self._popular_to_remember(store)

        try:
            version, (model, unknown, result, popular) = self._inference.run(serve, self._deadline, asks_known)
        except (DatabaseUnavailableError, NoActiveVersionError, *CONNECTION_ERRORS) as error:
            self._memory.away_until = time.monotonic() + AWAY_SECONDS
            raise _AwayError from error
        if popular is not None:
            self._memory.version, self._memory.popular, self._memory.labels = version, popular, model.labels
            self._memory.read_at = time.monotonic()
        if unknown:
            known = f"one of {', '.join(sorted(model.filters))}"
            raise bad_request([FieldError(f"filter.{shortened(name)}", known, "an unknown name") for name in unknown])
        return version, model.labels, cast(Result, result)

    def _answering(
        self, version: str, labels: Sequence[str], rules: RulesInForce, asked: Mapping[str, Any]
    ) -> Answering:
        return Answering(version, labels, rules, asked, self._inference.rules.problem)

    def _popular_to_remember(self, store: Store) -> Sequence[Found] | None:
        """Reads the popular items once in `REMEMBERED_SECONDS`, by one statement; returns `None` in between."""
        if time.monotonic() < self._memory.read_at + REMEMBERED_SECONDS:
            return None
        return store.popular([[]], REMEMBERED, [None], Asked(attributes=True))[0]

    def _from_memory(
        self, asked: Mapping[str, Any], where: Where, hidden: Collection[str], rules: RulesInForce
    ) -> dict[str, Any]:
        """Returns what is left of the remembered items by filter and rules; diversity takes vectors.

        Raises `ProblemError` where nothing was read yet.
        """
        if not self._memory.version:
            raise _unavailable("the vector store does not answer, and no popular items are remembered")
        self.from_memory = True
        left = [
            item
            for item in self._memory.popular
            if item.id not in hidden
            and matches(where, item.attributes)
            and not any(rule.concerns(item.id, item.attributes) for rule in rules.exclusions)
        ]
        selection = select(left, asked.get("limit", DEFAULT_LIMIT), rules, 0.0, lambda _: np.empty((0, 0), np.float32))
        # Without the database nobody knows what the customer has bought.
        known = {**asked, "diversity": 0.0, "customer": None}
        answering = self._answering(self._memory.version, self._memory.labels, rules, known)
        return answering.of_selection(Strategy.POPULAR, selection)


def _unavailable(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=AWAY_SECONDS)
