"""Models trained once for all tests of this folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.shop_seeder.sample_shop import generate
from tests.training import worlds
from training import pipeline
from training.artifact_writer import TrainedModel
from training.data import from_table
from training.fit import Settings


@dataclass(frozen=True)
class Published:
    lake: Path
    folder: Path
    result: pipeline.Result


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The sample shop, from Parquet files to a published version."""
    root = tmp_path_factory.mktemp("shop")
    lake = worlds.write(worlds.shop_table(generate()), worlds.CLASSIC, root / "lake")
    result = pipeline.run(str(lake), worlds.CLASSIC, str(root / "out"), work=root / "work")
    return Published(lake, root / "out" / result.version, result)


@pytest.fixture(scope="session")
def film_model() -> TrainedModel:
    """A few epochs on films: another schema, with a time column and tags."""
    data = from_table(worlds.films(n_users=120, n_films=200, mean=40), worlds.FILMS, "films")
    return pipeline.train(data, Settings(epochs=4))
