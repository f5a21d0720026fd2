"""S3 as it is when it is busy, refuses, or breaks off: a small server of HTTP in its place."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.s3 import TRIES, ObjectUnavailableError, S3Reader


class Server(ThreadingHTTPServer):
    """Answers with the next of `answers` (status, body), the last one from then on."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_busy_s3_is_asked_again_with_a_signed_request(server: Server) -> None:
    server.answers = [(503, b"SlowDown"), (500, b""), (200, b"content")]
    assert S3Reader().open("bucket", "v1/a b.csv").read() == b"content"
    path, headers = server.asked[-1]
    assert path == "/bucket/v1/a%20b.csv"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA/")
    assert headers["X-Amz-Security-Token"] == "token"
    assert len(server.asked) == 3


def test_a_refusal_is_told_at_once_and_endless_trouble_after_some_tries(server: Server) -> None:
    server.answers = [(403, b"AccessDenied")]
    with pytest.raises(ObjectUnavailableError, match=r"s3://bucket/v1/manifest.json: 403: AccessDenied"):
        ArtifactBucket("bucket").published("v1")
    assert len(server.asked) == 1
    server.answers = [(503, b"SlowDown")]
    with pytest.raises(ObjectUnavailableError, match="503: SlowDown"):
        S3Reader().open("bucket", "key")
    assert len(server.asked) == 1 + TRIES


def test_without_an_endpoint_the_buckets_own_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    for region, host in (("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")):
        monkeypatch.setenv("AWS_REGION", region)
        assert S3Reader()._url("artifacts", "v/m.json") == f"https://artifacts.s3.{region}.{host}/v/m.json"
