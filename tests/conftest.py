"""Services that tests of several parts share; each is started by the first test that asks for it."""

from collections.abc import Iterator

import pytest

from local.mariadb import MariaDB
from local.shop import Login
from tests.databases import new_database, running_mariadb


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with running_mariadb() as server:
        yield server


@pytest.fixture
def shop_database(mariadb: MariaDB) -> Login:
    """An empty database of the test's own."""
    return new_database(mariadb)
