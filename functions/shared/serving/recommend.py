"""Computes the recommendations of a batch of requests from one model version."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.artifacts import MAX_RECENT_ITEMS, SCORE_DIGITS
from contracts.events import PRODUCT, Strategy
from contracts.rules import Where
from functions.shared.serving.asked import Found
from functions.shared.serving.lookups import Item, Near, User
from functions.shared.serving.requests import Request
from functions.shared.serving.rules import NO_RULES, RulesInForce
from functions.shared.serving.search import Wanted, lists
from functions.shared.serving.selection import Chosen, Selection
from functions.shared.serving.store import Store
from functions.shared.serving.tower import UserTower
from functions.shared.vectors import Vectors


@dataclass
class _Plan:
    """A request with its known items, its strategy and its vector. Without a vector it gets popular items."""

    request: Request
    user: User | None
    recent: tuple[str, ...]
    """Known items: the session's first, then a known customer's own."""
    session: tuple[str, ...]
    """The known items of the session."""
    strategy: Strategy = Strategy.POPULAR
    vector: Any = None
    is_known_visitor: bool = False
    """True for a visitor without a known customer and without a session, whose features change the vector."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The items that this answer must not hold, beside those that are excluded for the customer."""
        return self.session + self.request.exclude

    def similar_to(self, items: Mapping[str, Item]) -> list[str]:
        known = [item for item in self.request.similar_to if item in items]
        return known if self.request.cart else known[:1]


def recommend(
    store: Store, tower: UserTower | None, requests: Sequence[Request], limit: int, rules: RulesInForce = NO_RULES
) -> list[dict[str, Any]]:
    """Returns an answer for each request, in order.

    It takes at most four statements for any number of requests, and those that `search.lists` adds for rules and
    filters. Raises `NotActiveError` as `Store.known`.
    """
    customers = {request.customer for request in requests if request.customer}
    known = store.known(customers, _wanted_items(requests))
    items = known.items
    plans = [_plan(request, known.users, items) for request in requests]
    _compute_vectors(store, tower, plans, items)
    wanted = [
        Wanted(plan.vector, plan.hidden, plan.request.customer, plan.request.where, plan.request.diversity)
        for plan in plans
    ]
    with_attributes = any(request.wants_attributes for request in requests)
    recommended = lists(store, wanted, limit, rules, with_attributes)
    near = _similar(store, plans, items, limit, rules)
    return [_answer(*answer) for answer in zip(plans, recommended, near, strict=True)]


def similar(
    store: Store, item: str, limit: int, exclude: Collection[str] = (), where: Where | None = None,
    rules: RulesInForce = NO_RULES, diversity: float | None = None,
) -> Selection | None:  # fmt: skip
    """Returns the items in stock that are most similar to one; `None` if the version lacks it.

    The list that is kept for the item is the answer, unless a rule or a filter changes it: then they are searched for.
    Raises `NotActiveError` as `Store.known`.
    """
    found = store.known((), {item: True}).items.get(item)
    if found is None:
        return None
    if where or rules != NO_RULES or diversity:
        vector = store.unpack([found.vector])[0]
        wanted = Wanted(vector, (item, *exclude), None, where or {}, diversity)
        return lists(store, [wanted], limit, rules, with_attributes=True)[0]
    in_stock = store.in_stock([near.id for near in found.similar], with_attributes=True)
    shown = _shown(found.similar, in_stock, exclude)
    return Selection([Chosen(Found(near.id, store.score(near.distance), in_stock[near.id])) for near in shown[:limit]])


def _wanted_items(requests: Sequence[Request]) -> dict[str, bool]:
    """Returns each item of a session → True if its similar items are needed beside its vector."""
    wanted = {item: False for request in requests for item in request.session}
    for request in requests:
        wanted.update(dict.fromkeys(request.similar_to, True))
    return wanted


def _plan(request: Request, users: Mapping[str, User], items: Mapping[str, Item]) -> _Plan:
    user = users.get(request.customer or "")
    session = tuple(item for item in request.session if item in items)
    past = tuple(item for item in user.recent_items if item in items) if user else ()
    # Each item once, where it comes first.
    recent = tuple(dict.fromkeys(session[:MAX_RECENT_ITEMS] + past))[:MAX_RECENT_ITEMS]
    return _Plan(request, user, recent, session)


def _compute_vectors(store: Store, tower: UserTower | None, plans: Sequence[_Plan], items: Mapping[str, Item]) -> None:
    """Gives each plan its strategy and its vector; one run of the model for all of them."""
    run: list[_Plan] = []
    if tower is not None:
        _find_known_visitors(store, tower, plans)
    for plan in plans:
        has_features = tower is not None and tower.has_features(plan.request.user)
        if plan.user:
            plan.strategy = Strategy.PERSONALIZED
        elif plan.session:
            plan.strategy = Strategy.SESSION
        elif plan.is_known_visitor:
            plan.strategy = Strategy.PERSONALIZED
        else:
            continue
        if tower is not None and (plan.session or has_features):
            run.append(plan)
        elif plan.user:
            # Nothing new is known of the customer: the stored vector is what the model made of the rest.
            plan.vector = store.unpack([plan.user.vector])[0]
        else:
            plan.vector = _recent_vectors(store, plan, items).mean(axis=0)
    if tower is not None and run:
        vectors = tower.vectors([plan.request.user for plan in run], [_recent_vectors(store, p, items) for p in run])
        for plan, vector in zip(run, vectors, strict=True):
            plan.vector = vector
    for plan in plans:
        if plan.vector is not None and not store.can_search(plan.vector):
            # Opposite items have no mean direction, and a tower may fail at one customer: only this answer is poorer.
            plan.vector, plan.strategy = None, Strategy.POPULAR


def _find_known_visitors(store: Store, tower: UserTower, plans: Sequence[_Plan]) -> None:
    asked = [plan for plan in plans if not (plan.user or plan.session) and tower.has_features(plan.request.user)]
    known = tower.knows([plan.request.user for plan in asked], store.dim) if asked else []
    for plan, is_known in zip(asked, known, strict=True):
        plan.is_known_visitor = is_known


def _recent_vectors(store: Store, plan: _Plan, items: Mapping[str, Item]) -> Vectors:
    """(number of recent items, dim)"""
    return store.unpack([items[item].vector for item in plan.recent])


def _similar(
    store: Store, plans: Sequence[_Plan], items: Mapping[str, Item], limit: int, rules: RulesInForce
) -> Iterator[list[dict[str, Any]]]:
    """Yields for each plan the similar items for the known items of the cart, or for the last known browsed item."""
    asked = [plan.similar_to(items) for plan in plans]
    listed = {near.id for known in asked for item in known for near in items[item].similar}
    by_attributes = [rule for rule in rules.exclusions if rule.where]
    in_stock = {
        id_
        for id_, attributes in store.in_stock(listed, with_attributes=bool(by_attributes)).items()
        if id_ not in rules.hidden and not any(rule.concerns(id_, attributes) for rule in by_attributes)
    }
    for plan, known in zip(plans, asked, strict=True):
        hidden = set(plan.hidden)
        shown = {item: _shown(items[item].similar, in_stock, hidden)[:limit] for item in known}
        yield [
            {PRODUCT: item, "similar_items": [{"id": near.id, "distance": near.distance} for near in nearest]}
            for item, nearest in shown.items()
        ]


def _shown(nearest: Sequence[Near], in_stock: Collection[str], hidden: Collection[str]) -> list[Near]:
    return [near for near in nearest if near.id in in_stock and near.id not in hidden]


def _answer(plan: _Plan, found: Selection, similar: list[dict[str, Any]]) -> dict[str, Any]:
    if not all(math.isfinite(item.found.score) for item in found.items):
        return {"id": plan.request.id, "error": "a score that is not finite"}
    return {
        "id": plan.request.id,
        "recommended_items": [answer_item(item, plan.request.wants_attributes) for item in found.items],
        **({"left_out_by": sorted(found.left_out_by)} if plan.request.wants_attributes else {}),
        "similar_items": similar,
        "strategy": (plan.strategy if found.items else Strategy.NOTHING).value,
    }


def answer_item(item: Chosen, with_attributes: bool) -> dict[str, Any]:
    """Returns an item as answers have it; with attributes, also the names of the rules that moved it."""
    answer: dict[str, Any] = {"id": item.found.id, "score": round(item.found.score, SCORE_DIGITS)}
    if with_attributes:
        answer |= {"attributes": item.found.attributes or {}, "rules": list(item.rules)}
    return answer
