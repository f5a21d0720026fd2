"""Whatever rules, filters and attributes hold: lists keep the rules, and the database matches as the code does."""

import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.rules import Rules, matches, read_rules
from functions.shared.serving.connections import prepare
from functions.shared.serving.rules import RulesInForce, jsonpath
from functions.shared.serving.search import Wanted, lists
from functions.shared.serving.store import Store as Tables
from tests.functions.conftest import Store
from tests.functions.http import get, post
from tests.functions.rules_shop import BRANDS, ITEMS, SHOP, V1, shop_fixture, told  # noqa: F401
from tests.functions.worlds import World

PLAIN = st.text(max_size=20) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["line", "vendor", "productLine"]) | st.text(max_size=20),
    value=PLAIN | st.lists(PLAIN, max_size=3),
    diversity=st.floats(-1, 2),
)
def test_whatever_a_filter_holds_it_is_answered_or_refused(
    shop: World, name: str, value: Any, diversity: float
) -> None:
    answered = [
        post({"items": ["I1"], "filter": {name: value}, "diversity": diversity}),
        post({"filter": {name: value}, "explain": True}),
        get("/v1/items/I1/similar", ("filter", f"{name}:{value}".encode(errors="replace")), ("diversity", diversity)),
    ]
    assert {each.status for each in answered} <= {200, 400}


VALUES = st.sampled_from([*BRANDS, "red", "blue", "any", "1991", 1992, "nothing"])


WHERE = st.dictionaries(
    st.sampled_from(["productLine", "colours", "price", "unknown"]), st.lists(VALUES, min_size=1, max_size=3),
    min_size=1, max_size=2,
)  # fmt: skip


SOME = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4, unique=True)


RULE = st.one_of(
    st.fixed_dictionaries({"action": st.just("exclude"), "items": SOME}),
    st.fixed_dictionaries({"action": st.just("exclude"), "where": WHERE}),
    st.fixed_dictionaries({"action": st.just("pin"), "items": SOME, "position": st.integers(1, 6)}),
    st.fixed_dictionaries({"action": st.sampled_from(["boost", "bury"]), "where": WHERE, "weight": st.floats(0, 1)}),
    st.fixed_dictionaries(
        {
            "action": st.just("at_most"),
            "attribute": st.sampled_from(["productLine", "colours", "price"]),
            "count": st.integers(1, 3),
        }
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(RULE, max_size=4), st.integers(1, 12), st.sampled_from([0.0, 0.5, 1.0]), st.none() | WHERE, st.booleans()
)
def test_whatever_the_rules_say_lists_keep_them_and_are_as_full_as_they_allow(
    shop: World, store: Store, rules: list[dict[str, Any]], limit: int, diversity: float, where: Any, by_vector: bool
) -> None:
    named = [{"name": str(number), **rule} for number, rule in enumerate(rules)]
    read = read_rules(json.dumps({"rules": named}))
    prepare(store.connection)
    tables = Tables(store.connection, V1, "cosine", SHOP.items.shape[1])
    wanted_where = {k: frozenset(map(str, v)) for k, v in (where or {}).items()}
    vector = SHOP.vector("I1") if by_vector else None
    wanted = Wanted(vector, ("I1",), "101", wanted_where, diversity)
    (found,) = lists(tables, [wanted], limit, RulesInForce(read), with_attributes=True)
    ids = [chosen.found.id for chosen in found.items]
    _check(read, ids, limit, wanted_where)


def _check(rules: Rules, ids: list[str], limit: int, where: Any) -> None:
    def values(name: str, item: str) -> list[str]:
        value = told(int(item[1:])).get(name, [])
        return [str(each) for each in (value if isinstance(value, list) else [value])]

    eligible = [
        item
        for number, item in enumerate(ITEMS)
        if item not in ("I1", "I59", "I60", *SHOP.out_of_stock)
        and all(set(wanted) & set(values(name, item)) for name, wanted in where.items())
        and not any(rule.action == "exclude" and rule.concerns(item, told(number)) for rule in rules.rules)
    ]
    assert len(set(ids)) == len(ids) <= limit
    assert set(ids) <= set(eligible)
    pins = RulesInForce(rules).pins
    free = [(position, id_) for position, id_, _ in pins if id_ in eligible]
    if len({position for position, _ in free}) == len(free):
        unpinned = len(set(ids) - {id_ for _, id_ in free})
        for before, (position, id_) in enumerate(sorted(free)):
            if position <= limit and position - 1 - before <= unpinned:  # else the list is too short for the place
                assert ids[position - 1] == id_
    caps = [(rule.attribute, rule.count) for rule in rules.rules if rule.action == "at_most"]
    pinned = {id_ for position, id_ in free if position <= limit + len(free)}
    for name, count in caps:
        counted = Counter(value for item in ids if item not in pinned for value in values(name, item))
        assert max(counted.values(), default=0) <= count, "pins come in any case, and the rest keeps to the rule"
    if not caps:
        assert len(ids) == min(limit, len(eligible))
    elif len(ids) < limit:
        now = Counter((name, value) for name, _ in caps for item in ids for value in values(name, item))
        for item in set(eligible) - set(ids):
            assert any(now[name, value] >= count for name, count in caps for value in values(name, item)), item


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(max_size=5).filter(lambda t: "\0" not in t and t.isprintable()),
        st.sampled_from(["a", "1", 1, 1.5, True, "true", 'x"\\', "$.y", ["a", "b"], "é", "-1", -1]),
        max_size=3,
    ),
    WHERE
    | st.dictionaries(
        st.sampled_from(["a", '"', "k"]), st.lists(st.sampled_from(["a", "1", "true", 'x"\\'])), min_size=1
    ),
)
def test_the_database_and_the_code_agree_on_what_matches(store: Store, attributes: Any, where: Any) -> None:
    given_where = {name: frozenset(map(str, values)) or frozenset({"z"}) for name, values in where.items()}
    for probe in (given_where, {k: frozenset({_text(v)}) for k, v in attributes.items()}):
        if probe:
            row = store.connection.execute(
                "SELECT (%s::text::jsonb @@ %s::text::jsonpath) IS TRUE", (json.dumps(attributes), jsonpath(probe))
            ).fetchone()
            assert row == (matches(probe, attributes),)


def _text(value: Any) -> str:
    value = value[0] if isinstance(value, list) else value
    return value if isinstance(value, str) else json.dumps(value)
