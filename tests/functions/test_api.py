"""The recommendation API's function: what it answers, and what it refuses."""

import json
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from contracts import api
from contracts.artifacts import MAX_SIMILAR_ITEMS
from contracts.events import MAX_HISTORY, MAX_ID_CHARACTERS
from functions.recommendation_api import handler as module
from functions.recommendation_api.service import DEFAULT_LIMIT
from functions.shared import versions
from functions.shared.environment import MAX_RECOMMENDATIONS
from tests.functions.conftest import Store
from tests.functions.http import call, get, post
from tests.functions.lambdas import act, infer, load, request
from tests.functions.worlds import World, expected_user_vector, world
from tests.fuzz.values import JSON, TEXTS

PARAMETERS = ("customer", "items", "exclude", "limit", "filter", "diversity", "explain")
V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"


@pytest.fixture
def shop(store: Store) -> World:
    told = {item: {"name": f"Item {item}", "price": 9.5, "buyPrice": 5} for item in ("I5", "I58", "I59")}
    made = world(V1, out_of_stock=frozenset({"I3", "I4"}), excluded={"101": ["I59"]}, attributes=told)
    store.serve(made)
    return made


def test_a_customer_is_answered_as_the_stream_answers(shop: Any) -> None:
    browsed = ["I7", "I1", "no such"]
    answered = get("/v1/recommendations", ("customer", "100"), *(("items", item) for item in browsed), ("limit", 5))
    assert (answered.status, answered.json["model_version"], answered.json["strategy"]) == (200, V1, "personalized")
    streamed = infer(request(items=browsed, customer_number="100"), limit=5)["responses"][0]
    scored = [{"id": item["id"], "score": item["score"]} for item in answered.json["items"]]
    assert scored == streamed["recommended_items"]
    assert answered.ids == shop.best(_vector(shop, ["I1", "I7", *shop.recent["100"]]), 5, ["I7", "I1"])
    again = post({"customer": 100, "items": browsed, "limit": 5})
    assert again.json["items"] == answered.json["items"]
    assert again.json["recommendation_id"] != answered.json["recommendation_id"]
    assert answered.headers["cache-control"] == "no-store"


def _vector(shop: Any, items: list[str]) -> Any:
    return expected_user_vector([shop.vector(item) for item in dict.fromkeys(items)])


def test_what_the_answer_rests_on_is_its_strategy(shop: Any) -> None:
    features = post({"features": {"credit_limit": 1000, "city": "Nantes"}})
    assert (features.json["strategy"], len(features.ids)) == ("personalized", DEFAULT_LIMIT)
    assert get("/v1/recommendations", ("items", "I5")).json["strategy"] == "session"
    assert get("/v1/recommendations").ids == get("/v1/popular").ids
    nothing = post({"items": list(shop.item_ids)})
    assert (nothing.json["strategy"], nothing.ids) == ("nothing", [])


def test_an_item_is_shown_by_what_the_specification_displays(shop: Any, store: Store) -> None:
    """The names of `[items.display]`, not those of the features, and nothing for what an earlier release loaded."""
    shown = {"name": "Item I59", "price": 9.5}
    near = min((item for item in ("I58", "I59")), key=lambda item: -shop.scores(shop.vector("I5"))[item])
    answers = [
        get("/v1/popular", ("limit", 3)),
        get("/v1/recommendations", ("limit", 3)),
        get("/v1/items/I5/similar", ("limit", 20)),
        get("/v1/recommendations", ("items", "I5"), ("limit", 60)),
    ]
    for answered in answers[:2]:
        assert [item["attributes"] for item in answered.json["items"]] == [shown, {**shown, "name": "Item I58"}, {}]
    for answered in answers[2:]:
        by_id = {item["id"]: item["attributes"] for item in answered.json["items"]}
        assert by_id.get(near, {"name": f"Item {near}", "price": 9.5}) == {"name": f"Item {near}", "price": 9.5}
    assert near in answers[3].ids
    store.serve(world(V2, out_of_stock=frozenset({"I3"})))
    store.connection.execute(sql.SQL("ALTER TABLE {} DROP attributes").format(versions.tables(V2).items))
    assert get("/v1/popular").json["items"][0]["attributes"] == {}
    assert get("/v1/items/I5/similar").json["items"][0]["attributes"] == {}


def test_excluded_items_are_in_no_answer_and_the_list_is_full(shop: Any) -> None:
    assert get("/v1/popular", ("limit", 3)).ids == ["I59", "I58", "I57"]
    assert get("/v1/popular", ("limit", 3), ("exclude", "I59"), ("exclude", "I57")).ids == ["I58", "I56", "I55"]
    nearest = shop.best(shop.vector("I5"), 8, ["I5"])
    asked = [("items", "I5"), *(("exclude", item) for item in nearest[:3]), ("limit", 5)]
    assert get("/v1/recommendations", *asked).ids == nearest[3:]
    assert get("/v1/items/I5/similar", *asked[1:]).ids == nearest[3:]


def test_similar_items_have_their_similarity_as_the_score(shop: Any) -> None:
    answered = get("/v1/items/I5/similar", ("limit", 4))
    assert (answered.json["strategy"], answered.ids) == ("similar", shop.best(shop.vector("I5"), 4, ["I5"]))
    for item in answered.json["items"]:
        assert item["score"] == pytest.approx(shop.scores(shop.vector("I5"))[item["id"]], abs=1e-5)
    assert get("/v1/items/I%35/similar").ids[:4] == answered.ids, "the id is decoded"
    unknown = get("/v1/items/no%20such/similar")
    assert (unknown.status, unknown.json["errors"][0]["found"]) == (404, '"no such"')


@pytest.mark.parametrize(
    ("query", "field", "expected", "found"),
    [
        ("limit=0", "limit", "a whole number from 1 to 100", "0"),
        ("limit=five", "limit", "a whole number from 1 to 100", '"five"'),
        ("limit=1&limit=2", "limit", "a whole number from 1 to 100", "a list of 2 entries"),
        ("customer=", "customer", "text of 1 to 512 characters", '""'),
        ("colour=red", "colour", f"one of {', '.join(PARAMETERS)}", "an unknown name"),
        ("&".join(["items=I1"] * 51), "items", "a list of at most 50 entries", "a list of 51 entries"),
        ("items=I1&items=", "items[1]", "text of 1 to 512 characters", '""'),
        ("filter=Planes", "filter[0]", "text such as line:Planes", '"Planes"'),
        ("diversity=1.5", "diversity", "a number from 0 to 1", "1.5"),
        ("explain=1", "explain", "true or false", '"1"'),
        ("items=%ff", "query", "text in UTF-8", "something else"),
    ],
)
def test_a_wrong_query_is_named_with_what_was_expected(
    shop: Any, query: str, field: str, expected: str, found: str
) -> None:
    answered = call(module.handler, "GET", "/v1/recommendations", query)
    assert answered.status == 400
    assert answered.json["errors"] == [{"field": field, "expected": expected, "found": found}]
    assert answered.json["detail"] == f"{field}: expected {expected}, found {found}"


DEEP = '{"features": {"city": ' + "[" * 300 + "]" * 300 + "}}"


def test_a_wrong_body_is_named_field_by_field(shop: Any) -> None:
    answered = post({"customer": 1.5, "items": [7], "features": {"city": {}}, "limit": "5", "colour": "red"})
    assert {error["field"] for error in answered.json["errors"]} == {
        "customer",
        "items[0]",
        "features.city",
        "limit",
        "colour",
    }
    for body in ("", "[]", "{", "nul", '"text"', "[" * 5000, "[" * 300 + "]" * 300, DEEP):
        assert post(body).status == 400
    assert post("{}", headers={"content-type": "text/plain"}).status == 415
    assert post("e30=", isBase64Encoded=True).status == 200
    assert post("no base64", isBase64Encoded=True).status == 400


def test_the_contracts_limits_are_the_codes() -> None:
    schemas = api.document()["components"]["schemas"]
    assert schemas["Limit"]["maximum"] == MAX_RECOMMENDATIONS
    assert schemas["SimilarLimit"]["maximum"] == MAX_SIMILAR_ITEMS
    assert {schemas[name]["default"] for name in ("Limit", "SimilarLimit")} == {DEFAULT_LIMIT}
    assert schemas["Id"]["maxLength"] == MAX_ID_CHARACTERS
    request_schema = schemas["RecommendationRequest"]["properties"]
    assert request_schema["items"]["maxItems"] == request_schema["exclude"]["maxItems"] == MAX_HISTORY


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["customer", "items", "exclude", "features", "limit"]), JSON, max_size=4) | JSON,
    st.lists(st.tuples(st.sampled_from(["customer", "items", "exclude", "limit"]) | TEXTS, TEXTS), max_size=4),
)
def test_whatever_comes_is_answered_within_the_contract(shop: Any, body: Any, query: list[tuple[str, str]]) -> None:
    """`call` holds each answer against the contract."""
    post(json.dumps(body))
    encodable = [(name, value) for name, value in query if (name + value).isprintable()]
    for path in ("/v1/recommendations", "/v1/popular", "/v1/items/I1/similar", "/v1/health"):
        get(path, *encodable)


def test_a_request_takes_two_statements_as_a_batch_of_the_stream_does(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all that is known by key, one for the search. The batch is answered with similar items too."""
    asked: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        asked.append(str(query))
        return execute(self, query, *more, **options)

    for warm in (False, True):
        if warm:
            monkeypatch.setattr(psycopg.Cursor, "execute", counted)
        infer(request(items=["I1"], customer_number="100"))
        streamed, asked[:] = len(asked), []
        get("/v1/recommendations", ("customer", "100"), ("items", "I1"))
    assert (len(asked), streamed) == (2, 3)


def test_whole_numbers_written_with_a_point_are_whole_numbers(shop: Any) -> None:
    """JSON Schema: 10.0 is an integer. JavaScript writes none, other languages' encoders do."""
    plain = post('{"customer": 100, "items": ["I1"], "limit": 3}')
    assert (plain.status, len(plain.ids), plain.json["strategy"]) == (200, 3, "personalized")
    assert post('{"customer": 100.0, "items": ["I1"], "limit": 3.0}').ids == plain.ids
    answer = infer(request(items=["I1"], customer_number=100.0))["responses"][0]
    assert answer["strategy"] == "personalized"


def test_an_activation_and_a_rollback_are_seen_by_the_next_request(shop: Any, store: Store) -> None:
    world(V2, seed=2).publish(store.s3, store.bucket)
    seen = [get("/v1/health").json["model_version"]]
    load(store.bucket, V2)
    seen.append(get("/v1/popular").json["model_version"])
    act("activate", version=V1)
    seen.append(get("/v1/recommendations").json["model_version"])
    act("activate", version=V2)
    seen.append(get("/v1/recommendations", ("customer", "100"), ("items", "I1")).json["model_version"])
    act("activate", version=V1)
    seen.append(get("/v1/items/I5/similar").json["model_version"])
    act("activate", version=V2)
    seen.append(infer(request(items=["I1"], customer_number="100"))["model_version"])
    assert seen == [V1, V2, V1, V2, V1, V2]
