"""Rules, filters and diversity, from the file on S3 to the answers of API and stream, with a real pgvector."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.rules import RULES_FILE, RulesError, read_rules
from functions.model_inference import handler as stream
from functions.recommendation_api import handler as api
from operations.__main__ import main as operations
from tests.functions.conftest import Store
from tests.functions.http import get, post
from tests.functions.lambdas import infer, request
from tests.functions.rules_shop import BRANDS, ITEMS, shop_fixture, told  # noqa: F401
from tests.functions.worlds import World


def put(store: Store, *rules: dict[str, Any], **others: Any) -> None:
    content = json.dumps({"rules": list(rules), **others}).encode()
    store.s3.put_object(Bucket=store.bucket, Key=RULES_FILE, Body=content)


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
    put(store, {"name": "out", "action": "exclude", "items": ["I119"]})
    get("/v1/popular")
    with store.away():
        assert get("/v1/popular", ("limit", 2)).ids == ["I118", "I117"]
        assert get("/v1/recommendations", ("filter", "vendor:rare")).ids == ["I5"]


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
