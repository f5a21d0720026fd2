"""Reads the environment variables of the functions, and says which function reads which."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.environment import (
    API_KEYS_SECRET,
    DELIVERY_STREAM_NAME,
    EVENT_STREAM_NAME,
    FAILURE_BUCKET,
    ML_ARTIFACTS_BUCKET,
    MODEL_INFERENCE_FUNCTION,
    RECOMMENDATION_LIMIT,
    SOURCE_DB,
    SOURCE_LOGIN_URI,
    VECTOR_DB,
    VECTOR_DB_AUTH,
    DatabaseVariables,
)

READS = {
    "api_key_authorizer": (API_KEYS_SECRET,),
    "catalog_refresh": (*VECTOR_DB, ML_ARTIFACTS_BUCKET, SOURCE_LOGIN_URI),
    "embedding_loader": (*VECTOR_DB, ML_ARTIFACTS_BUCKET),
    "event_intake": (EVENT_STREAM_NAME,),
    "model_inference": (*VECTOR_DB, ML_ARTIFACTS_BUCKET),
    "recommendation_api": (*VECTOR_DB, ML_ARTIFACTS_BUCKET),
    "shop_seeder": SOURCE_DB,
    "stream_transformation": (MODEL_INFERENCE_FUNCTION, RECOMMENDATION_LIMIT),
}
"""Function → the variables that it reads in its default set-up."""

OPTIONAL = {
    "catalog_refresh": (VECTOR_DB_AUTH,),
    "embedding_loader": (VECTOR_DB_AUTH,),
    "model_inference": (VECTOR_DB_AUTH,),
    "recommendation_api": (VECTOR_DB_AUTH,),
    "stream_transformation": (DELIVERY_STREAM_NAME, FAILURE_BUCKET),
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
    authentication = environ.get(VECTOR_DB_AUTH) or "password"
    if authentication not in ("password", "iam"):
        raise SettingError(f"{VECTOR_DB_AUTH}: expected 'password' or 'iam', found {authentication!r}")
    database = _database(environ, VECTOR_DB, by_password=authentication == "password")
    return Storage(database, _text(environ, ML_ARTIFACTS_BUCKET))


def source(environ: Mapping[str, str] = os.environ) -> Database:
    """The trial stack's source database. Raises `SettingError` naming the variable that is missing or wrong."""
    return _database(environ, SOURCE_DB)


def _database(environ: Mapping[str, str], names: DatabaseVariables, *, by_password: bool = True) -> Database:
    return Database(
        host=_text(environ, names.host),
        port=_whole_number(environ, names.port, 1, 65_535),
        name=_text(environ, names.name),
        user=_text(environ, names.user),
        password=_text(environ, names.password) if by_password else None,
    )


def source_login_uri(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the URI of the object with the login of the shop's MySQL. Raises `SettingError`."""
    return _text(environ, SOURCE_LOGIN_URI)


def stream(environ: Mapping[str, str] = os.environ) -> Stream:
    """Raises `SettingError` naming the variable that is missing or wrong."""
    return Stream(
        inference_function=_text(environ, MODEL_INFERENCE_FUNCTION),
        limit=_whole_number(environ, RECOMMENDATION_LIMIT, 1, MAX_RECOMMENDATIONS),
    )


def delivery_stream(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the delivery stream that the transformation puts lines to when Kinesis calls it. Raises
    `SettingError`."""
    return _text(environ, DELIVERY_STREAM_NAME)


def failure_bucket(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the bucket in which it then keeps events that can never succeed. Raises `SettingError`."""
    return _text(environ, FAILURE_BUCKET)


def event_stream(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the Kinesis stream that the API's events are put on. Raises `SettingError`."""
    return _text(environ, EVENT_STREAM_NAME)


def api_keys_secret(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the ARN of the secret that holds the API's keys. Raises `SettingError`."""
    return _text(environ, API_KEYS_SECRET)


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
