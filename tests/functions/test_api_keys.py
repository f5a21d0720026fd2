"""The authorizer of API keys: keys from the secret, exchanged while it runs."""

import json
from typing import Any

import msgspec
import pytest

from functions.api_key_authorizer import handler as module
from tests.functions.lambdas import Context


class Secrets:
    def __init__(self) -> None:
        self.text = json.dumps({"shop": "first-key", "empty": ""})
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        assert SecretId == "arn:secret"
        self.reads += 1
        return {"SecretString": self.text}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    made = Secrets()
    monkeypatch.setenv("API_KEYS_SECRET", "arn:secret")
    monkeypatch.setattr(module, "_read_at", float("-inf"))
    monkeypatch.setattr(module, "aws_client", lambda service, **_: made)
    return made


def ask(key: str) -> Any:
    return module.handler({"identitySource": [key]}, Context())


def test_a_key_of_the_secret_lets_in_and_any_other_does_not(secrets: Secrets) -> None:
    assert ask("first-key") == {"isAuthorized": True, "context": {"client": "shop"}}
    for wrong in ("first-ke", "first-key ", "FIRST-KEY", "", "é", "shop"):
        assert ask(wrong) == {"isAuthorized": False, "context": {"client": ""}}
    assert secrets.reads == 1


def test_keys_are_exchanged_without_a_deployment(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("first-key")["isAuthorized"]
    secrets.text = json.dumps({"shop": "second-key"})
    monkeypatch.setattr(module, "_read_at", module._read_at - module.KEPT_SECONDS)
    assert ask("second-key")["isAuthorized"]
    assert not ask("first-key")["isAuthorized"]


def test_a_secret_of_another_shape_lets_nobody_in(secrets: Secrets) -> None:
    secrets.text = '["first-key"]'
    with pytest.raises(msgspec.ValidationError):
        ask("first-key")
