"""One Spark session for the ETL's tests, and shops in MariaDB to read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from emulator.requirements import JAVA_HOME, JDBC_DRIVER
from tests.etl import connector_j
from tests.etl.shops import MARIADB_DRIVER, configured_spark


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    drivers = filter(None, (JDBC_DRIVER, connector_j.fetch()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(JAVA_HOME))
        session = configured_spark(tmp_path_factory.mktemp("spark"), *drivers)
    yield session
    session.stop()


@pytest.fixture(params=[MARIADB_DRIVER, connector_j.DRIVER], ids=["MariaDB's", "Connector/J"])
def driver(request: pytest.FixtureRequest) -> str:
    """A JDBC driver's class."""
    if request.param == connector_j.DRIVER and connector_j.fetch() is None:
        pytest.skip("Maven brought no Connector/J: mvn, or a repository that it reaches, is missing")
    return str(request.param)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An empty data lake."""
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder
