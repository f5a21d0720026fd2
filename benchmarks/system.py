"""Gives the benchmarks of the functions a database, S3, the environment of the functions, and a user tower."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import shop
from emulator.ministack import MiniStack
from functions.shared.database import Connection

BUCKET = "artifacts"


def tower() -> tuple[bytes, dict[str, Any]]:
    """Returns a user tower of the sample shop, trained for an epoch, and its dataset specification."""
    from functions.shop_seeder.sample_shop import generate
    from tests.training import worlds
    from training import onnx_export, pipeline
    from training.data import from_table
    from training.fit import Settings

    data = from_table(worlds.shop_table(generate()), worlds.CLASSIC, "sample shop")
    trained = pipeline.train(data, Settings(epochs=1, dim=shop.DIM, linear_dim=0))
    encodings = trained.inputs.shape.user_encodings
    return onnx_export.user_tower(trained.model.users, encodings, shop.DIM), worlds.CLASSIC.to_dict()


@contextmanager
def services() -> Iterator[tuple[Connection, Any]]:
    """Starts a database and S3, and sets the functions' environment to them."""
    with tempfile.TemporaryDirectory() as folder, shop.database() as (_, where), shop.connection(where) as connection:
        ministack = MiniStack(Path(folder) / "data", Path(folder) / "ministack.log")
        ministack.start()
        s3 = ministack.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        database = {"HOST": where.host, "PORT": str(where.port), "NAME": where.name, "USER": where.user}
        os.environ.update({f"VECTOR_DB_{name}": value for name, value in database.items()})
        os.environ.update(VECTOR_DB_PASSWORD=shop.PASSWORD, ML_ARTIFACTS_BUCKET=BUCKET)
        os.environ.update(ministack.environment(ministack.root))
        try:
            yield connection, s3
        finally:
            s3.close()
            ministack.stop()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
