"""Rules, filters and diversity, from the file on S3 to the answers of API and stream, with a real pgvector."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.rules import RULES_FILE, RULES_FOLDER, Rules, RulesError, matches, read_rules
from functions.model_inference import handler as stream
from functions.recommendation_api import handler as api
from functions.recommendation_api.service import Memory
from functions.shared.serving import rules_file
from functions.shared.serving.connections import prepare
from functions.shared.serving.rules import RulesInForce, jsonpath
from functions.shared.serving.search import Wanted, lists
from functions.shared.serving.store import Store as Tables
from operations.__main__ import main as operations
from tests.functions.conftest import Store
from tests.functions.http import Answered, call
from tests.functions.lambdas import infer, load, request
from tests.functions.worlds import World, world

V1 = "20261101T000000Z-000001"
BRANDS, COLOURS = ("acme", "Bolt & Co", "c\"u'p"), ("red", "blue", "green")
ITEMS = [f"I{number}" for number in range(120)]


def told(number: int) -> dict[str, Any]:
    """Every seventh item has no brand; item 5 alone is `rare`."""
    brand = {} if number % 7 == 0 else {"productLine": BRANDS[number % 3]}
    rare = {"vendor": "rare"} if number == 5 else {}
    return {
        "name": f"Item {number}",
        "price": 1990 + number % 4,
        "colours": [COLOURS[number % 2], "any"],
        **brand,
        **rare,
    }


SHOP = world(
    V1,
    n_items=len(ITEMS),
    out_of_stock=frozenset({"I3", "I4"}),
    excluded={"101": ["I59", "I60"]},
    attributes={item: told(number) for number, item in enumerate(ITEMS)},
)


@pytest.fixture
def shop(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(api, "_inference", None)
    monkeypatch.setattr(api, "_memory", Memory())
    monkeypatch.setattr(rules_file, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(rules_file, "AWAY_SECONDS", 0.0)
    SHOP.publish(store.s3, store.bucket)
    load(store.bucket, V1)
    yield SHOP
    for entry in store.s3.list_objects_v2(Bucket=store.bucket, Prefix=RULES_FOLDER).get("Contents", []):
        store.s3.delete_object(Bucket=store.bucket, Key=entry["Key"])
    if api._inference is not None:
        api._inference._connection.drop()
        api._inference._bucket.close()
        api._inference.rules.close()


def put(store: Store, *rules: dict[str, Any], **others: Any) -> None:
    content = json.dumps({"rules": list(rules), **others}).encode()
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=content)


def get(path: str, *query: tuple[str, Any]) -> Answered:
    return call(api.handler, "GET", path, query)


def post(body: Any) -> Answered:
    return call(api.handler, "POST", "/v1/recommendations", body=body)


def test_the_file_is_in_force_with_the_next_answers_of_the_api_and_of_the_stream(shop: World, store: Store) -> None:
    def answers() -> list[list[str]]:
        streamed = infer(request(items=["I5"]), limit=5)["responses"][0]
        lists = [streamed["recommended_items"], streamed["similar_items"][0]["similar_items"]]
        asked = get("/v1/recommendations", ("items", "I5"), ("limit", 5))
        similar = get("/v1/items/I5/similar", ("limit", 5))
        return [[item["id"] for item in each] for each in lists] + [asked.ids, similar.ids]

    before = answers()
    gone = before[0][0]
    put(store, {"name": "recalled", "action": "exclude", "items": [gone]})
    assert not [ids for ids in answers() if gone in ids]
    assert [len(ids) for ids in answers()] == [5] * 4
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=b"{")
    assert not [ids for ids in answers() if gone in ids], "a broken file does not end the last good rules"
    store.s3.delete_object(Bucket=store.bucket, Key=RULES_FILE)
    assert not [ids for ids in answers() if gone in ids], "nor does a missing one"
    assert "404" in (api._inference.rules.problem or "")  # type: ignore[union-attr]
    assert stream._inference.rules.problem  # type: ignore[union-attr]
    put(store)
    assert answers() == before
    assert api._inference.rules.problem is None  # type: ignore[union-attr]


def test_the_operators_command_puts_what_it_has_checked_and_takes_it_back(
    shop: World, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, file = ["--bucket", store.bucket], tmp_path / "rules.json"
    assert operations(["rules", "show", *where]) == 1
    assert "expected rules, found none" in capsys.readouterr().err
    for item in ("I119", "I118"):
        file.write_text(json.dumps({"rules": [{"name": item, "action": "exclude", "items": [item]}]}))
        assert operations(["rules", "put", str(file), *where]) == 0
        assert item not in get("/v1/popular").ids
        time.sleep(1.1)  # versions are named by the second
    file.write_text('{"rules": [{"name": "x", "action": "exclude"}]}')
    assert operations(["rules", "put", str(file), *where]) == 1
    assert "rules[0]: expected either items or where, found nothing" in capsys.readouterr().err
    assert operations(["rules", "history", *where]) == 0
    (first,), (second, *mark) = map(str.split, capsys.readouterr().out.splitlines())
    assert mark == ["in", "force"]
    assert operations(["rules", "show", "--version", first, *where]) == 0
    file.write_text(capsys.readouterr().out)
    assert get("/v1/popular", ("explain", "true")).json["explain"]["rules_version"] == second
    assert operations(["rules", "put", str(file), *where]) == 0
    assert get("/v1/popular", ("limit", 2)).ids == ["I118", "I117"]


def test_a_problem_of_the_file_is_counted_and_logged(
    shop: World, store: Store, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=b'{"rules": [{"action": "explode"}]}')
    explained = get("/v1/popular", ("explain", "true"))
    assert explained.status == 200
    assert '"RulesProblems":[1.0]' in capsys.readouterr().out.replace(" ", "")
    (reason,) = [record.__dict__["reason"] for record in caplog.records if "reason" in record.__dict__]
    expected = "exclude, pin, boost, bury, at_most or not_again"
    assert reason == f"rules.json: rules[0].action: expected {expected}, found 'explode'"
    assert explained.json["explain"]["problem"] == reason


def test_an_answer_explains_the_rules_that_made_it(shop: World, store: Store) -> None:
    put(
        store,
        {"name": "no red", "action": "exclude", "where": {"colours": "red"}},
        {"name": "hero", "action": "pin", "items": ["I11", "I4"], "position": 2},
        {"name": "push", "action": "boost", "where": {"price": [1991, "1993"]}, "weight": 0.5},
        {"name": "one of a line", "action": "at_most", "attribute": "productLine", "count": 1},
        {"name": "never", "action": "bury", "items": ["no such"], "weight": 1},
    )
    answered = get("/v1/popular", ("limit", 6), ("explain", "true"))
    assert answered.json["explain"]["rules"] == ["no red", "hero", "push", "one of a line"]
    assert len(answered.json["explain"]["rules_version"]) == 32
    assert answered.ids[1] == "I11", "I4 is out of stock"
    assert answered.json["items"][1]["rules"] == ["hero"]
    assert all(item["rules"] for item in answered.json["items"])
    assert not {int(id_[1:]) % 2 == 0 for id_ in answered.ids} & {True}
    plain = get("/v1/popular", ("limit", 6))
    assert plain.ids == answered.ids
    assert not {"explain", "rules"} & {*plain.json, *plain.json["items"][0]}


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/popular", "/v1/items/I1/similar"])
def test_a_filter_leaves_a_full_list_of_what_matches(path: str, shop: World) -> None:
    right = [item for number, item in enumerate(ITEMS) if told(number).get("productLine") == BRANDS[1]]
    right = [item for item in right if item not in ("I1", *shop.out_of_stock)]
    asked = [("filter", f"productLine:{BRANDS[1]}"), ("limit", 20), ("exclude", "I1")]
    assert len(get(path, *asked).ids) == 20
    assert set(get(path, *asked).ids) <= set(right)
    assert get(path, ("filter", "vendor:rare")).ids == ["I5"]
    assert get(path, ("filter", "vendor:rare"), ("exclude", "I5")).json["strategy"] == "nothing"
    two = get(path, ("filter", "vendor:rare"), ("filter", "vendor:x"), ("filter", "price:1991"))
    assert two.ids == ["I5"]
    assert get(path, ("filter", "vendor:rare"), ("filter", "price:1992")).ids == []
    refused = get(path, ("filter", "secret:1"))
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "filter.secret")
    assert get(path, ("filter", "vendor:a\0b")).ids == get(path, ("filter", 'vendor:"\\')).ids == []


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


def test_what_many_items_match_is_searched_by_the_index_of_vectors(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.shared.serving import queries

    few = post({"items": ["I1"], "filter": {"name": [f"Item {n}" for n in range(50, 70)]}, "limit": 10}).ids
    monkeypatch.setattr(queries, "FEW", 3)
    queries.nearest.cache_clear()
    queries.popular.cache_clear()
    try:
        many = post({"items": ["I1"], "filter": {"name": [f"Item {n}" for n in range(50, 70)]}, "limit": 10}).ids
        popular = get("/v1/popular", *(("filter", f"name:Item {n}") for n in range(50, 70)), ("limit", 20)).ids
    finally:
        monkeypatch.undo()
        queries.nearest.cache_clear()
        queries.popular.cache_clear()
    assert many == few
    assert popular == [f"I{n}" for n in reversed(range(50, 70))]


def test_diversity_takes_like_items_apart_and_keeps_the_best_first(shop: World) -> None:
    def spread(diversity: float) -> tuple[list[str], float]:
        ids = get("/v1/recommendations", ("items", "I1"), ("limit", 8), ("diversity", diversity)).ids
        unit = np.array([shop.vector(id_) / np.linalg.norm(shop.vector(id_)) for id_ in ids])
        return ids, float((unit @ unit.T).mean())

    by_relevance, alike = spread(0)
    assert by_relevance == shop.best(shop.vector("I1"), 8, ["I1"])
    for diversity in (0.3, 0.8):
        ids, apart = spread(diversity)
        assert ids[0] == by_relevance[0]
        assert len(set(ids)) == 8
        assert apart < alike - 0.005
        alike = apart


def test_while_the_database_is_away_rules_and_filters_hold_too(shop: World, store: Store) -> None:
    from tests.functions.test_api import database_away

    put(store, {"name": "out", "action": "exclude", "items": ["I119"]})
    get("/v1/popular")
    with database_away(store):
        assert get("/v1/popular", ("limit", 2)).ids == ["I118", "I117"]
        assert get("/v1/recommendations", ("filter", "vendor:rare")).ids == ["I5"]


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


def test_every_mistake_of_the_file_is_told() -> None:
    with pytest.raises(RulesError) as told_of:
        read_rules(
            json.dumps(
                {
                    "diversity": 2,
                    "rule": [],
                    "rules": [
                        {"name": "a", "action": "exclude"},
                        {"name": "a", "action": "pin", "items": [1], "position": 0, "weight": 1},
                        {"name": "b", "action": "boost", "where": {"brand": []}, "weight": "much"},
                        {"name": "c", "action": "at_most", "attribute": "brand", "count": 0},
                        {"name": "e", "action": "not_again", "days": 3651, "items": ["I1"]},
                        "d",
                    ],
                }
            )
        )
    lines = str(told_of.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "rule", "rules[0]", "rules[1].weight", "rules[1].items", "rules[1].position", "rules[2].where.brand",
        "rules[2].weight", "rules[3].count", "rules[4].items", "rules[4].days", "rules[5]", "rules", "diversity",
    ]  # fmt: skip
