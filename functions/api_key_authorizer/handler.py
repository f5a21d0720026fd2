"""Lambda authorizer: lets a request through if its key is one of those in the secret.

The secret is a JSON object of names and keys, `{"shop": "…"}`, so that keys can be exchanged one at a time. API Gateway
asks once per key in the authorizer's cache time (developer guide, "Control access to HTTP APIs with AWS Lambda
authorizers": payload format 2.0, simple responses).
"""

import hmac
import time
from typing import Any

import msgspec

from functions.shared import environment
from functions.shared.aws_client import aws_client
from functions.shared.telemetry import count, logger_of, metrics_of

FUNCTION = "api_key_authorizer"
KEPT_SECONDS = 60.0
"""Seconds after which the secret is read again: a new key works, and an old one stops, that much later at most."""

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_keys: dict[str, str] = {}
_read_at = float("-inf")

_secret = msgspec.json.Decoder(dict[str, str])


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes a request authorizer's event and returns `isAuthorized`, and whose key it is.

    Raises what Secrets Manager raises, and `msgspec.ValidationError` for a secret of another shape: API Gateway then
    answers with 500, and lets nobody through.
    """
    (given,) = event["identitySource"]
    name = _owner(given, _current_keys())
    count(metrics, "KeysAccepted" if name else "KeysRefused", 1)
    return {"isAuthorized": bool(name), "context": {"client": name or ""}}


def _owner(given: str, keys: dict[str, str]) -> str | None:
    """The name of a key. Every key is compared, each in constant time: the time taken says nothing of any of them."""
    matches = [name for name, key in keys.items() if hmac.compare_digest(key.encode(), given.encode())]
    return matches[0] if matches else None


def _current_keys() -> dict[str, str]:
    global _keys, _read_at
    if time.monotonic() >= _read_at + KEPT_SECONDS:
        secret = environment.api_keys_secret()
        secrets = aws_client("secretsmanager", connect_seconds=2, read_seconds=3, tries=5)
        keys = _secret.decode(secrets.get_secret_value(SecretId=secret)["SecretString"])
        # An empty key would let in whoever sends an empty header.
        _keys, _read_at = {name: key for name, key in keys.items() if key}, time.monotonic()
    return _keys
