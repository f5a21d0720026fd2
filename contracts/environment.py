"""The names of the functions' environment variables: the program sets them, the functions read them."""

from typing import NamedTuple


class DatabaseVariables(NamedTuple):
    """The variables that hold a database's address and login."""

    host: str
    """Host name or address, such as `vectors.abc.eu-west-1.rds.amazonaws.com`."""
    port: str
    """1 to 65535, such as `5432`."""
    name: str
    """The database in the server, such as `recommender`."""
    user: str
    password: str
    """The password; absent under IAM authentication."""


VECTOR_DB = DatabaseVariables(
    "VECTOR_DB_HOST", "VECTOR_DB_PORT", "VECTOR_DB_NAME", "VECTOR_DB_USER", "VECTOR_DB_PASSWORD"
)
VECTOR_DB_AUTH = "VECTOR_DB_AUTH"
"""`password` (the default) or `iam`: then a function signs a token with its role's credentials."""

SOURCE_DB = DatabaseVariables(
    "SOURCE_DB_HOST", "SOURCE_DB_PORT", "SOURCE_DB_NAME", "SOURCE_DB_USER", "SOURCE_DB_PASSWORD"
)

SOURCE_LOGIN_URI = "SOURCE_LOGIN_URI"
"""URI of the object with the login of the shop's MySQL (docs/adr/0013), such as `s3://code-bucket-0a1b2c3/source/login.json`."""

ML_ARTIFACTS_BUCKET = "ML_ARTIFACTS_BUCKET"
"""Name of the bucket of ML artifacts."""

MODEL_INFERENCE_FUNCTION = "MODEL_INFERENCE_FUNCTION"
"""ARN of inference's alias, such as `arn:aws:lambda:eu-west-1:111122223333:function:stream-inference:live`."""

RECOMMENDATION_LIMIT = "RECOMMENDATION_LIMIT"
"""Recommendations for an event, 1 to 100, such as `5`."""

DELIVERY_STREAM_NAME = "DELIVERY_STREAM_NAME"
"""Name of the delivery stream that the transformation puts its lines to when Kinesis calls it."""

FAILURE_BUCKET = "FAILURE_BUCKET"
"""Name of the bucket in which the transformation then keeps events that can never succeed."""

EVENT_STREAM_NAME = "EVENT_STREAM_NAME"
"""Name of the Kinesis stream that the API's event intake puts events on."""

API_KEYS_SECRET = "API_KEYS_SECRET"  # noqa: S105  (a variable's name)
"""ARN of the secret that holds the API's keys."""
