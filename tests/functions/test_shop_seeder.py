"""The function that fills a trial stack's source database."""

import pytest

from contracts import dataset_file
from contracts.mysql import Login
from emulator.program import ROOT
from functions.shop_seeder import handler as seeder
from local.source import check_existing
from tests.functions.lambdas import Context

EXPECTED = {"customers": 300, "products": 120}


@pytest.fixture
def environment(shop_database: Login, monkeypatch: pytest.MonkeyPatch) -> Login:
    monkeypatch.setenv("SOURCE_DB_HOST", shop_database.host)
    monkeypatch.setenv("SOURCE_DB_PORT", str(shop_database.port))
    monkeypatch.setenv("SOURCE_DB_NAME", shop_database.database)
    monkeypatch.setenv("SOURCE_DB_USER", shop_database.username)
    monkeypatch.setenv("SOURCE_DB_PASSWORD", shop_database.password)
    return shop_database


def test_the_sample_shop_has_what_the_default_dataset_names_and_is_made_once(environment: Login) -> None:
    first = seeder.handler({"seed": 3}, Context())
    assert first["seeded"] is True
    assert {table: first["rows"][table] for table in EXPECTED} == EXPECTED
    assert "300 customers, 120 products" in check_existing(environment, dataset_file.load(ROOT / "dataset.toml"))
    assert seeder.handler({"seed": 4}, Context()) == {"seeded": False, "rows": first["rows"]}
