"""PostgreSQL and S3 for handlers that need them, with the functions' environment set to them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from emulator.ministack import MiniStack
from emulator.postgres import Postgres
from functions.model_inference import handler as inference

BUCKET = "artifacts"


@contextmanager
def vector_store() -> Iterator[Any]:
    """An S3 client, and the environment in which loader and inference work on an empty vector store."""
    with tempfile.TemporaryDirectory(prefix="recommender-fuzz-") as folder:
        postgres = Postgres(Path(folder), user="master", password="password", database="vectors")
        cloud = MiniStack(Path(folder) / "s3", Path(folder) / "ministack.log")
        postgres.start()
        try:
            cloud.start()
            s3 = cloud.client("s3")
            s3.create_bucket(Bucket=BUCKET)
            variables = {
                "VECTOR_DB_HOST": postgres.host,
                "VECTOR_DB_PORT": str(postgres.port),
                "VECTOR_DB_NAME": postgres.database,
                "VECTOR_DB_USER": postgres.user,
                "VECTOR_DB_PASSWORD": "password",
                "ML_ARTIFACTS_BUCKET": BUCKET,
                **cloud.environment(cloud.root),
            }
            with mock.patch.dict(os.environ, variables), mock.patch.object(inference, "_inference", None):
                yield s3
                if inference._inference is not None:
                    inference._inference._connection.drop()
                    inference._inference._bucket.close()
            s3.close()
        finally:
            cloud.stop()
            postgres.stop()
