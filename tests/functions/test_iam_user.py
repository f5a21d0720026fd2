"""The database user that functions log in as by IAM, made once by the master user."""

import pytest

from functions.embedding_loader import handler as loader
from functions.embedding_loader import load
from functions.shared.database import connect
from tests.functions.conftest import PASSWORD, Store

USER = "app_by_iam"
EVENT = {"action": "grant_iam", "user": USER, "master_user": "master", "master_password": PASSWORD}


@pytest.fixture(autouse=True)
def no_user_left(store: Store) -> None:
    role = store.connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [USER]).fetchone()
    if role is not None:
        store.connection.execute(f"DROP OWNED BY {USER}")
        store.connection.execute(f"DROP ROLE {USER}")


def test_the_user_logs_in_by_iam_and_owns_what_a_load_needs(store: Store) -> None:
    for _ in range(2):  # a deployment may come again
        assert loader.handler(dict(EVENT), None) == {"user": USER}
    member = "SELECT pg_has_role(%s, 'rds_iam', 'member')"
    assert store.connection.execute(member, [USER]).fetchone() == (True,)
    store.connection.execute(f"GRANT {USER} TO master WITH SET TRUE")
    with connect(store.database) as connection:
        connection.execute(f"SET ROLE {USER}")
        load.prepare(connection)
        connection.execute("CREATE SCHEMA model_x")


def test_an_incomplete_request_is_refused_without_repeating_the_password() -> None:
    with pytest.raises(loader.EventError, match="master_user missing") as error:
        loader.handler({"action": "grant_iam", "user": USER, "master_password": "hidden"}, None)
    assert "hidden" not in str(error.value)
