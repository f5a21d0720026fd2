"""The connection to the vector store: what breaks it, how it is encrypted, and how it is signed in."""

import itertools
import ssl
import threading
import time
from collections import Counter
from typing import Any

import psycopg
import pytest

from emulator.postgres import Postgres
from functions.model_inference import handler as inference
from functions.shared import environment
from functions.shared.database import CERTIFICATES, DatabaseUnavailableError, KeptConnection, encryption
from functions.shared.environment import SettingError
from functions.shared.serving import inference as warm
from tests.functions.conftest import Store
from tests.functions.lambdas import Context, LambdaService, deliver, infer, request
from tests.functions.worlds import world

V1 = "20261101T000000Z-000001"


def test_a_server_that_comes_back_is_waited_for(store: Store, postgres: Postgres) -> None:
    store.serve(world(V1))
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
    store.serve(world(V1))
    infer(request())
    store.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recommender'"
        " AND pid <> pg_backend_pid()"
    )
    assert len(infer(request())["responses"]) == 1


def test_no_connection_to_be_had_costs_no_event(store: Store) -> None:
    """The role's limit is reached: the stream's batch is raised as a whole, and is answered when it is sent again."""
    store.serve(world(V1))
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
    store.serve(world(V1))
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
