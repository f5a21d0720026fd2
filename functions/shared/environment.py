"""The environment variables of the functions: the one place that reads them, and which function reads which."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

VECTOR_DB = ("VECTOR_DB_HOST", "VECTOR_DB_PORT", "VECTOR_DB_NAME", "VECTOR_DB_USER", "VECTOR_DB_PASSWORD")
"""With `VECTOR_DB_AUTH` = `iam` in place of the password."""

SOURCE_DB = ("SOURCE_DB_HOST", "SOURCE_DB_PORT", "SOURCE_DB_NAME", "SOURCE_DB_USER", "SOURCE_DB_PASSWORD")

READS = {
    "embedding_loader": (*VECTOR_DB, "ML_ARTIFACTS_BUCKET"),
    "model_inference": (*VECTOR_DB, "ML_ARTIFACTS_BUCKET"),
    "shop_seeder": SOURCE_DB,
    "stream_transformation": ("MODEL_INFERENCE_FUNCTION", "RECOMMENDATION_LIMIT"),
}
"""Function → the variables that it reads in its default set-up."""

OPTIONAL = {
    "embedding_loader": ("VECTOR_DB_AUTH",),
    "model_inference": ("VECTOR_DB_AUTH",),
    "stream_transformation": ("DELIVERY_STREAM_NAME", "FAILURE_BUCKET"),
}
"""Function → the variables of its other set-ups: IAM authentication, and the Kinesis event source."""

MAX_RECOMMENDATIONS = 100


class SettingError(RuntimeError):
    """An environment variable is missing or wrong; the text names it."""


@dataclass(frozen=True)
class Database:
    """Address and login of a database. Without a password, an IAM token is signed for every connection."""

    host: str
    port: int
    name: str
    user: str
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Storage:
    """Settings of the loader and of inference: the vector store and the bucket of ML artifacts."""

    database: Database
    artifacts_bucket: str


@dataclass(frozen=True)
class Stream:
    """Settings of the stream transformation."""

    inference_function: str
    limit: int


def storage(environ: Mapping[str, str] = os.environ) -> Storage:
    """Raises `SettingError` naming the variable that is missing or wrong."""
    authentication = environ.get("VECTOR_DB_AUTH") or "password"
    if authentication not in ("password", "iam"):
        raise SettingError(f"VECTOR_DB_AUTH: expected 'password' or 'iam', found {authentication!r}")
    database = Database(
        host=_text(environ, "VECTOR_DB_HOST"),
        port=_whole_number(environ, "VECTOR_DB_PORT", 1, 65_535),
        name=_text(environ, "VECTOR_DB_NAME"),
        user=_text(environ, "VECTOR_DB_USER"),
        password=None if authentication == "iam" else _text(environ, "VECTOR_DB_PASSWORD"),
    )
    return Storage(database, _text(environ, "ML_ARTIFACTS_BUCKET"))


def source(environ: Mapping[str, str] = os.environ) -> Database:
    """The trial stack's source database. Raises `SettingError` naming the variable that is missing or wrong."""
    return Database(
        host=_text(environ, "SOURCE_DB_HOST"),
        port=_whole_number(environ, "SOURCE_DB_PORT", 1, 65_535),
        name=_text(environ, "SOURCE_DB_NAME"),
        user=_text(environ, "SOURCE_DB_USER"),
        password=_text(environ, "SOURCE_DB_PASSWORD"),
    )


def stream(environ: Mapping[str, str] = os.environ) -> Stream:
    """Raises `SettingError` naming the variable that is missing or wrong."""
    return Stream(
        inference_function=_text(environ, "MODEL_INFERENCE_FUNCTION"),
        limit=_whole_number(environ, "RECOMMENDATION_LIMIT", 1, MAX_RECOMMENDATIONS),
    )


def delivery_stream(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the delivery stream that the transformation puts lines to when Kinesis calls it. Raises
    `SettingError`."""
    return _text(environ, "DELIVERY_STREAM_NAME")


def failure_bucket(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the bucket in which it then keeps events that can never succeed. Raises `SettingError`."""
    return _text(environ, "FAILURE_BUCKET")


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise SettingError(f"{name}: expected a value in the function's environment, found none")
    return value


def _whole_number(environ: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    value = _text(environ, name)
    if not (value.isascii() and value.isdecimal() and lowest <= int(value) <= highest):
        raise SettingError(f"{name}: expected a whole number from {lowest} to {highest}, found {value!r}")
    return int(value)
