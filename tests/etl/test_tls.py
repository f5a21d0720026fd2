"""TLS to the shop's database, as `--source …?ssl-mode=…&ssl-ca=…` asks for it: by Python and by the job's driver."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts.mysql import Login
from emulator.errors import LocalRunError
from etl.mysql import Source
from local.login import connected, jdbc_options, parse_url, settled
from tests.databases import MASTER, make_certificate, running_tls_mariadb
from tests.etl.shops import MARIADB_DRIVER

CIPHER = "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'"


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[str, Path]]:
    """The URL of a database that asks for TLS, and its authority's certificate."""
    with running_tls_mariadb() as (server, certificate):
        yield f"mysql://tls:{MASTER[1]}@{server.host}:{server.port}/mysql", certificate


def by_python(login: Login) -> str:
    with connected(login) as connection, connection.cursor() as cursor:
        cursor.execute(CIPHER)
        return str(cursor.fetchone()[0])


def by_the_job(spark: SparkSession, login: Login) -> str:
    url = f"jdbc:mysql://{login.host}:{login.port}/{login.database}?{jdbc_options(login.tls)}"
    row = Source(url, login.username, login.password, MARIADB_DRIVER).query(spark, CIPHER).first()
    assert row is not None
    return str(row["cipher"])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?ssl-mode=required",
        "?ssl-ca={certificate}",
        "?ssl-mode=VERIFY_CA&ssl-ca={certificate}",
        "?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}",
    ],
)
def test_both_connections_are_encrypted_in_each_mode(spark: SparkSession, shop: tuple[str, Path], query: str) -> None:
    url, certificate = shop
    login = settled(parse_url(url + query.format(certificate=certificate)))
    assert by_python(login)
    assert by_the_job(spark, login)


def test_where_tls_is_turned_off_and_with_another_authority_neither_connects(
    spark: SparkSession, shop: tuple[str, Path], tmp_path: Path
) -> None:
    other, _ = make_certificate(tmp_path)
    for options in ("?ssl-mode=DISABLED", f"?ssl-mode=VERIFY_CA&ssl-ca={other}"):
        login = parse_url(shop[0] + options)
        with pytest.raises(LocalRunError, match="cannot be reached"):
            by_python(login)
        with pytest.raises(Exception, match=r"Access denied|SSLHandshakeException|certification path"):
            by_the_job(spark, login)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sslMode=REQUIRED", "expected ssl-mode and ssl-ca, once each, after the database's name, found 'sslMode'"),
        ("ssl-mode=ON", "expected one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY, found 'ON'"),
        ("ssl-mode=VERIFY_CA", "ssl-mode=VERIFY_CA: expected ssl-ca=<file of the authority, PEM> beside it"),
        ("ssl-ca=/no/where.pem", r"ssl-ca=/no/where.pem: expected certificates \(PEM\): No such file or directory"),
        ("ssl-mode=REQUIRED&ssl-ca=/a.pem", "expected ssl-mode=VERIFY_CA or VERIFY_IDENTITY, found REQUIRED"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(query: str, told: str) -> None:
    with pytest.raises(LocalRunError, match=told):
        parse_url(f"mysql://reader:secret@shop-db/shop?{query}")
