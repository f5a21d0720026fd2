"""Faults around inference: versions that switch or go under load, the database, the model's file."""

import hashlib
import itertools
import ssl
import threading
import time
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest
from onnx import TensorProto, helper, numpy_helper
from psycopg import sql

from contracts.artifacts import RECENT_ITEMS_INPUT, USER_TOWER, USER_VECTOR_OUTPUT
from contracts.columns import Column, Kind
from contracts.events import MAX_HISTORY, MAX_TAGS
from emulator.postgres import Postgres
from functions.embedding_loader import load as loading
from functions.model_inference import handler as inference
from functions.shared import environment, versions
from functions.shared.database import CERTIFICATES, DatabaseUnavailableError, KeptConnection, encryption
from functions.shared.environment import SettingError
from functions.shared.serving import inference as warm
from functions.shared.serving.graph import ModelError
from functions.shared.serving.requests import RequestError, read_request
from functions.shared.serving.store import Store as Tables
from functions.shared.serving.tower import UserTower
from functions.shared.versions import NoActiveVersionError
from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, Context, LambdaService, act, deliver, infer, load, request
from tests.functions.worlds import DATASET, expected_user_vector, user_tower, world

V = [f"2026110{day}T000000Z-00000{day}" for day in range(1, 6)]


def test_before_the_first_version_inference_fails_and_says_so(store: Store) -> None:
    with pytest.raises(NoActiveVersionError, match="no model version is active"):
        infer(request())
    act("status")
    with pytest.raises(NoActiveVersionError):
        infer(request())


@pytest.mark.parametrize("before", ["known", "nearest"])
def test_a_version_dropped_in_the_middle_of_a_batch_is_answered_from_the_new_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    for version, seed in ((V[0], 1), (V[1], 2)):
        world(version, seed=seed).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    infer(request())
    look_up = getattr(Tables, before)

    def dropped_before(self: Tables, *given: Any) -> Any:
        if self._version == V[0] and act("status")["active"] == V[0]:
            load(store.bucket, V[1])
            monkeypatch.setattr(loading, "VERSIONS_KEPT", 1)
            monkeypatch.setattr(loading, "ACTIVE_BEFORE_KEPT", 0)
            assert loading.drop_old(store.connection) == [V[0]]
        return look_up(self, *given)

    monkeypatch.setattr(Tables, before, dropped_before)
    answer = infer(request(customer_number=100, items=["I1"]))
    assert answer["model_version"] == V[1]
    shop = world(V[1], seed=2)
    recent = dict.fromkeys(["I1", *shop.recent["100"]])
    vector = expected_user_vector([shop.vector(item) for item in recent])
    ids = [item["id"] for item in answer["responses"][0]["recommended_items"]]
    assert ids == shop.best(vector, LIMIT, ["I1"])


def test_switches_and_rollbacks_under_load_lose_no_answer_and_mix_no_versions(store: Store) -> None:
    """The two versions hold different items, so that an answer made of both would show."""
    for version, prefix in ((V[0], "A"), (V[1], "B")):
        shop = world(version)
        named = world(version, item_ids=[prefix + id_ for id_ in shop.item_ids], recent={})
        named.publish(store.s3, store.bucket)
        load(store.bucket, version)
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for version in V[:2]:
                act("activate", version=version)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        seen: list[str] = []
        until = time.monotonic() + 30
        # Until the pointer was seen to move often, and there and back.
        while sum(a != b for a, b in itertools.pairwise(seen)) < 8 and time.monotonic() < until:
            answer = infer(*[request(str(n), customer_number=100 + n) for n in range(5)], request("none"))
            prefix = {V[0]: "A", V[1]: "B"}[answer["model_version"]]
            for response in answer["responses"]:
                assert len(response["recommended_items"]) == LIMIT
                assert all(item["id"].startswith(prefix) for item in response["recommended_items"])
            seen.append(prefix)
    finally:
        stop.set()
        thread.join()
    assert set(seen) == {"A", "B"}


def test_a_server_that_comes_back_is_waited_for(store: Store, postgres: Postgres) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    infer(request())
    postgres.stop()
    try:
        with pytest.raises(DatabaseUnavailableError, match="no connection") as failed:
            infer(request(), seconds=2.0)
        assert "pass'word" not in str(failed.value)
        back = threading.Timer(1.0, postgres.start)
        back.start()
        assert infer(request(), seconds=30)["responses"][0]["strategy"] == "popular"
        back.join()
    finally:
        if not postgres.running:
            postgres.start()


def test_a_connection_cut_between_two_calls_is_opened_again(store: Store) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    infer(request())
    store.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recommender'"
        " AND pid <> pg_backend_pid()"
    )
    assert len(infer(request())["responses"]) == 1


def test_no_connection_to_be_had_costs_no_event(store: Store) -> None:
    """The role's limit is reached: the stream's batch is raised as a whole, and is answered when it is sent again."""
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    event = b'{"session_id":"s","browse_history":[]}'
    database = environment.storage().database
    store.connection.execute("ALTER DATABASE store CONNECTION LIMIT 1")
    with pytest.raises(Exception, match="too many connections"):
        deliver(ShortOfTime(), event, seconds=6.5)
    store.connection.execute("ALTER DATABASE store CONNECTION LIMIT -1")
    assert str(database.password) not in str(database)
    assert [result for result, _ in deliver(LambdaService(), event)] == ["Ok"]


class ShortOfTime(LambdaService):
    """An inference function with a second to answer."""

    def run(self, event: Any) -> Any:
        return inference.handler(event, Context(1.5))


def test_a_statement_that_takes_too_long_ends_and_the_function_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "STATEMENT_SECONDS", 0.2)
    kept = KeptConnection(store.database, statement_timeout=0.2)
    connection = kept.get(1e9)
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(5)")
    kept.drop()


def test_a_model_file_that_was_replaced_is_not_run(store: Store) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    store.s3.put_object(Bucket=store.bucket, Key=f"{V[0]}/model/user_tower.onnx", Body=user_tower(4))
    with pytest.raises(ValueError, match="expected sha256"):
        infer(request())


def test_a_tower_whose_inputs_are_no_features_is_refused() -> None:
    less = replace(DATASET.users, columns=DATASET.users.columns[1:])
    changed = type(DATASET)(less, DATASET.items, DATASET.ratings, {}, DATASET.name)
    with pytest.raises(ModelError, match="city"):
        UserTower(user_tower(8), changed)


def test_poison_in_one_request_is_an_error_of_that_request(store: Store) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    poison: list[Any] = [
        None,
        {"id": "p"},
        {"id": "p", "user": [], "items": []},
        {"id": "p", "user": {}, "items": [None]},
        {"id": "p", "user": {}, "items": [{"product_code": {}}]},
        {"id": "p", "user": {"customer_number": {}}, "items": []},
    ]
    good = request("good", items=["I1"], customer_number=100)
    for response in infer(*[r for p in poison for r in (p, good)])["responses"][::2]:
        assert "error" in response
    odd = [
        request("odd", items=["\0", "\ud800", "x" * 100_000, '{"'], customer_number="\0"),
        request("odd", items=["I1"] * 300, customer_number=10**40, credit_limit=float("inf"), city=["Nantes"]),
        request("odd", city="\ud800", credit_limit="1e400", country=7, state=True),
    ]
    for response in infer(*odd, good)["responses"]:
        assert len(response["recommended_items"]) == LIMIT


@pytest.mark.parametrize(
    "event", [None, {}, {"limit": 0, "requests": []}, {"limit": True, "requests": []}, {"limit": 5}]
)
def test_a_call_that_is_none_is_refused(event: Any, store: Store) -> None:
    with pytest.raises(ValueError, match="expected"):
        inference.handler(event, Context())


def test_off_loopback_the_database_is_never_talked_to_in_plaintext(tmp_path: Any) -> None:
    assert encryption("db.example.eu-west-1.rds.amazonaws.com", tmp_path / "none") == {"sslmode": "require"}
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    settings = {"sslmode": "verify-full", "sslrootcert": str(bundle)}
    assert encryption("10.0.0.7", bundle) == settings
    assert encryption("127.0.0.1", CERTIFICATES) == {"sslmode": "prefer"}


def test_the_packaged_certificates_are_the_valid_roots_of_rds() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATES)
    certificates: list[Any] = context.get_ca_certs()
    found = [dict(part[0] for part in certificate["subject"]) for certificate in certificates]
    assert {subject["organizationName"] for subject in found} == {"Amazon Web Services, Inc."}
    regions = Counter(subject["commonName"].split()[2] for subject in found)
    assert regions["us-east-1"] == regions["eu-west-1"] == 3, "RSA 2048, RSA 4096, ECC 384"
    assert set(regions.values()) == {3}
    in_ten_years = time.time() + 10 * 365 * 86_400
    for certificate in certificates:
        assert ssl.cert_time_to_seconds(certificate["notAfter"]) > in_ten_years
        assert certificate["issuer"] == certificate["subject"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("VECTOR_DB_HOST", ""), ("VECTOR_DB_PORT", "5432x"), ("VECTOR_DB_PASSWORD", ""), ("VECTOR_DB_AUTH", "kerberos")],
)
def test_a_missing_or_wrong_variable_is_named(name: str, value: str) -> None:
    good = dict.fromkeys(environment.READS["model_inference"], "x") | {"VECTOR_DB_PORT": "5432"}
    environment.storage(good)
    with pytest.raises(SettingError, match=name):
        environment.storage({**good, name: value})


def test_iam_authentication_signs_a_token_for_this_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.shared.database import iam_token

    for variable, value in (("ACCESS_KEY_ID", "AKIA"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{variable}", value)
    good = dict.fromkeys(environment.READS["model_inference"], "db") | {"VECTOR_DB_PORT": "5432"}
    settings = environment.storage({**good, "VECTOR_DB_AUTH": "iam", "VECTOR_DB_PASSWORD": ""})
    token = iam_token(settings.database)
    assert token.startswith("db:5432/?Action=connect&DBUser=db&X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert "X-Amz-Expires=900" in token
    assert "%2Feu-west-1%2Frds-db%2Faws4_request" in token


def test_a_wall_clock_that_jumps_ends_no_wait_early_and_none_late(
    store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    infer(request())
    real, jumps = time.time, itertools.cycle((-86_400.0, 0.0, 3_600.0))
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    postgres.stop()
    back = threading.Timer(1.0, postgres.start)
    try:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            infer(request(), seconds=2.0)
        assert 0.5 < time.monotonic() - began < 10
        back.start()
        assert len(infer(request(), seconds=30)["responses"]) == 1
    finally:
        if back.is_alive():
            back.join()
        if not postgres.running:
            postgres.start()


def _spoil(store: Store, version: str) -> None:
    """A tower that the loader did not see: it is replaced after the switch, with a manifest that says so."""
    content = b"garbage"
    digest = hashlib.sha256(content).hexdigest()
    store.s3.put_object(Bucket=store.bucket, Key=f"{version}/{USER_TOWER}", Body=content)
    store.connection.execute(
        "UPDATE recommender.model_version SET manifest = regexp_replace(manifest, %s, %s) WHERE version = %s",
        (f'"{USER_TOWER}": "[0-9a-f]+"', f'"{USER_TOWER}": "{digest}"', version),
    )


def _two_versions(store: Store) -> None:
    for version, seed in ((V[0], 1), (V[1], 2)):
        world(version, seed=seed).publish(store.s3, store.bucket)
        load(store.bucket, version)


@pytest.mark.parametrize("warm_up", [False, True])
def test_where_the_active_version_cannot_be_served_the_last_one_is_and_an_alarm_rings(
    warm_up: bool, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    _two_versions(store)
    if warm_up:
        act("activate", version=V[0])
        infer(request())
        act("activate", version=V[1])
    _spoil(store, V[1])
    for _ in range(2):
        answer = infer(request(customer_number=100, items=["I1"]))
        assert answer["model_version"] == V[0]
        assert len(answer["responses"][0]["recommended_items"]) == LIMIT
    assert capsys.readouterr().out.count('"VersionFallbacks":[1.0]') == 2


def test_a_version_that_was_mended_is_served_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_versions(store)
    tables = versions.tables(V[1]).items
    store.connection.execute(sql.SQL("ALTER TABLE {} RENAME TO hidden").format(tables))
    asked = request(items=["I1"])
    assert infer(asked)["model_version"] == V[0]
    hidden = sql.Identifier(versions.schema_name(V[1]), "hidden")
    store.connection.execute(sql.SQL("ALTER TABLE {} RENAME TO items").format(hidden))
    assert infer(asked)["model_version"] == V[0], "it is left alone for a while"
    monkeypatch.setattr(time, "monotonic", lambda real=time.monotonic: real() + warm.AVOIDED_SECONDS)
    assert infer(asked, seconds=60)["model_version"] == V[1]


def test_where_no_version_can_be_served_the_active_ones_reason_is_told(store: Store) -> None:
    _two_versions(store)
    for version in V[:2]:
        _spoil(store, version)
    with pytest.raises(ModelError, match="cannot load it"):
        infer(request())


@pytest.mark.parametrize("with_tower", [False, True])
def test_a_vector_without_a_length_costs_its_own_answer_alone(with_tower: bool, store: Store) -> None:
    """Two opposite items have no mean, and the square of a large number that is still a number does not fit a float32.

    Without a tower, pgvector's NaN made an answer that is no JSON.
    """
    shop = world(V[0])
    items = shop.items.copy()
    items[1] = -items[0]
    shop = replace(shop, items=items, tower=shop.tower if with_tower else None)
    shop.publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    asked = [request(str(n), items=["I5", "I6"]) for n in range(40)]
    opposite = [request("opposite", items=["I0", "I1"]), request("far", items=["I5"], credit_limit=9e29)]
    responses = infer(*asked[:20], *opposite, *asked[20:])["responses"]
    assert all(len(response["recommended_items"]) == LIMIT for response in responses)
    by_id = {response["id"]: response["strategy"] for response in responses}
    assert by_id.pop("opposite") == "popular"
    assert by_id.pop("far") == ("popular" if with_tower else "session")
    assert set(by_id.values()) == {"session"}


def test_a_score_that_is_not_finite_costs_its_own_record_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    nearest = Tables.nearest

    def spoilt(self: Tables, *given: Any) -> Any:
        answers = nearest(self, *given)
        answers[1] = [found._replace(score=float("nan")) for found in answers[1]]
        return answers

    monkeypatch.setattr(Tables, "nearest", spoilt)
    responses = infer(*[request(str(n), items=["I1"]) for n in range(3)])["responses"]
    assert ["error" in response for response in responses] == [False, True, False]


def test_half_a_character_in_an_id_costs_its_own_request_alone(store: Store) -> None:
    world(V[0]).publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    bad: list[Any] = ["\ud800", {"a": "\ud800"}, ["\udfff"], float("nan")]
    responses = infer(*[request(id_) for id_ in bad], request("good"))["responses"]
    assert [response["id"] for response in responses] == [None] * len(bad) + ["good"]
    assert ["error" in response for response in responses] == [True] * len(bad) + [False]


def test_an_answer_without_items_is_not_counted_as_one(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    shop = world(V[0], n_items=3, recent={})
    shop.publish(store.s3, store.bucket)
    load(store.bucket, V[0])
    capsys.readouterr()
    assert infer(request(items=shop.item_ids))["responses"][0]["recommended_items"] == []
    out = capsys.readouterr().out
    assert '"AnswersEmpty":[1.0]' in out
    assert "AnswersSession" not in out


def test_large_events_take_memory_that_does_not_grow_with_them(store: Store) -> None:
    """Issue 13: tags of 100 kB in a batch of 200 took 3.4 GB."""
    tagged = replace(DATASET.users, columns=(Column("tags", Kind.TAGS, "|"),))
    dataset = replace(DATASET, users=tagged, event_features={"tags": "tags"})
    tower = UserTower(tags_tower(), dataset)
    history = np.zeros((1, 2), np.float32)
    event = {"tags": [f"tag {n}" for n in range(50_000)]}
    tracemalloc.start()
    vectors = tower.vectors([event] * 200, [history] * 200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert vectors[:, 0].tolist() == [MAX_TAGS] * 200
    assert peak < 20 * 2**20
    with pytest.raises(RequestError, match="at most 1000"):
        read_request(request(items=["I1"] * (MAX_HISTORY + 1)))


def tags_tower() -> bytes:
    """A tower whose vector holds the number of tags."""
    made = helper.make_tensor_value_info
    inputs = [
        made("tags", TensorProto.STRING, ["batch", "n_tags"]),
        made(RECENT_ITEMS_INPUT, TensorProto.FLOAT, ["batch", "n", 2]),
    ]
    nodes = [
        helper.make_node("Equal", ["tags", "nothing"], ["is_padding"]),
        helper.make_node("Not", ["is_padding"], ["is_tag"]),
        helper.make_node("Cast", ["is_tag"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axis_1"], ["number"], keepdims=1),
        helper.make_node("Concat", ["number", "number"], [USER_VECTOR_OUTPUT], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([""], dtype=object), "nothing"),
        numpy_helper.from_array(np.array([1], np.int64), "axis_1"),
    ]
    output = made(USER_VECTOR_OUTPUT, TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "tags_tower", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content
