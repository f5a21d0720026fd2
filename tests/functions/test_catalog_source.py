"""The refresh reads items as the ETL does: every column type with every kind, and the login with its encryption."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.dataset import Dataset
from contracts.mysql import Login, SourceError
from functions.catalog_refresh.login import connected, read_login, tls_of
from functions.catalog_refresh.source import KEY_TWICE, SourceItems
from tests.databases import MASTER, execute, make_certificate, running_tls_mariadb
from tests.etl.test_column_types import CASES, EXPECTED, OTHER, SPEC, Rejected, name, things  # noqa: F401  (a fixture)


def source_login(login: Login, **options: str) -> Login:
    url = f"jdbc:mysql://{login.host}:{login.port}/{login.database}?" + "&".join(f"{k}={v}" for k, v in options.items())
    content = json.dumps({"url": url, "username": login.username, "password": login.password})
    return read_login(content.encode(), "login.json")


def with_items(dataset: Dataset, kind_of_case: str) -> Dataset:
    """The things as items that have the one column."""
    columns = tuple(column for column in dataset.users.columns if column.name == kind_of_case)
    return replace(dataset, users=OTHER, items=replace(dataset.users, columns=columns))


@pytest.mark.parametrize("place", ["table", "query"])
def test_each_value_is_the_one_that_the_etl_writes_or_the_row_is_refused(things: Login, place: str) -> None:  # noqa: F811
    with connected(source_login(things)) as connection:
        for (row, column), expected in EXPECTED.items():
            spec = with_items(SPEC, column)
            if place == "query":
                spec = replace(spec, items=replace(spec.items, table="", query="SELECT * FROM things"))
            source = SourceItems(connection, spec)
            (found,) = [item for chunk in source.chunks() for item in chunk if item.key == str(row)]
            item = source.item(found)
            if isinstance(expected, Rejected):
                assert item is None, (column, CASES[row])
            else:
                assert item is not None, (column, CASES[row], source.refused)
                assert item.values[column] == expected, (column, CASES[row])


def test_of_a_key_that_comes_twice_the_first_row_counts(shop_database: Login) -> None:
    execute(
        shop_database, ["CREATE TABLE things (id INT, other INT)", "INSERT INTO things VALUES (1, 1), (1, 2), (2, 3)"]
    )
    spec = replace(SPEC, users=OTHER, items=replace(SPEC.users, columns=()))
    with connected(source_login(shop_database)) as connection:
        source = SourceItems(connection, spec)
        assert [row.key for chunk in source.chunks() for row in chunk] == ["1", "2"]
    assert (source.refused.counts, source.rows) == ({KEY_TWICE: 1}, 3)


def test_a_reading_that_is_broken_off_ends_at_once(shop_database: Login) -> None:
    execute(shop_database, ["CREATE TABLE things (id INT PRIMARY KEY, other INT)",
                            "INSERT INTO things SELECT seq, 1 FROM seq_1_to_20000"])  # fmt: skip
    spec = replace(SPEC, users=OTHER, items=replace(SPEC.users, columns=()))
    with connected(source_login(shop_database)) as connection:
        chunks = SourceItems(connection, spec).chunks()
        assert len(next(chunks)) == 2048
        chunks.close()
        assert connection._sock is None, "what is left of the result is not read"


def test_the_server_is_verified_where_the_options_ask_for_it(tmp_path: Path) -> None:
    with running_tls_mariadb() as (server, certificate):
        login = Login(server.host, server.port, "mysql", "tls", MASTER[1])
        other, _ = make_certificate(tmp_path)
        for options in ({}, {"sslMode": "REQUIRED"}, {"sslMode": "VERIFY_IDENTITY", "serverSslCert": str(certificate)}):
            with connected(source_login(login, **options)) as connection:
                assert connection.ssl, options
        for mode in ("VERIFY_CA", "VERIFY_IDENTITY"):
            with (
                pytest.raises(SourceError, match=r"tls@127.0.0.1:\d+/mysql: cannot be reached: .*verify failed"),
                connected(source_login(login, sslMode=mode, serverSslCert=str(other))),
            ):
                pass
        with pytest.raises(SourceError, match="cannot be reached"), connected(source_login(login, sslMode="DISABLED")):
            pass


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, "PREFERRED"),
        ({"sslmode": "verify-ca"}, "VERIFY_CA"),
        ({"usessl": "true", "trustservercertificate": "true"}, "REQUIRED"),
        ({"usessl": "true", "verifyservercertificate": "true"}, "VERIFY_CA"),
    ],
)
def test_the_options_of_both_drivers_say_how_to_encrypt(options: dict[str, str], mode: str) -> None:
    assert tls_of(options).mode == mode


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[]", "expected JSON with url, username and password"),
        (b'{"url": "postgres://host/db", "username": "u", "password": "hidden"}', "expected jdbc:mysql://host:port"),
        (b'{"url": "jdbc:mysql://host", "username": "u", "password": "hidden"}', "expected jdbc:mysql://host:port"),
        (b'{"url": "jdbc:mysql://host:x/db", "username": "u", "password": "hidden"}', "expected jdbc:mysql://host"),
    ],
)
def test_a_login_of_another_shape_is_refused_without_its_password(content: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told) as error:
        read_login(content, "s3://code/source/login.json")
    assert "hidden" not in str(error.value)
