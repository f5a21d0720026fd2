"""The operator's commands for model versions, against a loader that answers as the real one does."""

import io
import json
from typing import Any

import boto3
import pytest

from operations import __main__ as operations
from operations.versions import VersionError, act, find_loader

STATUS = {"active": "v2", "loaded": ["v1", "v2", "v3"], "pinned": ["v1"]}


class Lambda:
    """boto3's session, and its client for Lambda."""

    def __init__(self, *functions: str) -> None:
        self.functions = functions
        self.called: list[tuple[str, Any]] = []

    def client(self, service: str) -> "Lambda":
        assert service == "lambda"
        return self

    def get_paginator(self, _: str) -> "Lambda":
        return self

    def paginate(self) -> list[Any]:
        return [{"Functions": [{"FunctionName": name}]} for name in self.functions]

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        self.called.append((FunctionName, json.loads(Payload)))
        if json.loads(Payload).get("version") == "bad":
            failed = {"errorType": "TrialError", "errorMessage": "bad: expected an answer"}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(failed).encode())}
        return {"Payload": io.BytesIO(json.dumps(STATUS).encode())}


def test_a_command_asks_the_loader_and_shows_what_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Lambda("vectors-loader-1", "stream-inference-1")
    monkeypatch.setattr(boto3, "Session", lambda: client)
    assert operations.main(["versions"]) == 0
    assert operations.main(["activate", "v2", "--loader", "another"]) == 0
    assert operations.main(["pin", "v1"]) == 0
    assert client.called == [
        ("vectors-loader-1", {"action": "status"}),
        ("another", {"action": "activate", "version": "v2"}),
        ("vectors-loader-1", {"action": "pin", "version": "v1"}),
    ]
    assert capsys.readouterr().out.startswith("v1 pinned\nv2 active\nv3\n")
    assert operations.main(["activate", "bad"]) == 1
    assert "TrialError: bad: expected an answer" in capsys.readouterr().err


@pytest.mark.parametrize("functions", [(), ("a-loader", "b-loader")])
def test_without_a_name_there_must_be_one_loader(functions: tuple[str, ...]) -> None:
    with pytest.raises(VersionError, match="expected one function named a loader"):
        find_loader(Lambda(*functions))


def test_what_the_loader_refuses_is_raised() -> None:
    with pytest.raises(VersionError, match="TrialError"):
        act(Lambda(), "loader", "activate", "bad")
