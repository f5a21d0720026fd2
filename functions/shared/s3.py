"""Reads objects from S3 with botocore's signer and HTTP session alone.

boto3's client costs a cold start 0.2 s and 25 MB, most of it for descriptions of calls that no function makes
(benchmarks/stream.py has the figures). What is left is one signed GET.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, Credentials, EnvProvider
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from functions.shared.backoff import Backoff

TRIES = 4
WAITS = (0.1, 1.0)
"""The first and the longest wait between two tries, in seconds."""
CONNECT_SECONDS, READ_SECONDS = 5, 20
OK, NOT_MODIFIED, THROTTLED, SERVER_ERROR = 200, 304, 429, 500


class ObjectUnavailableError(RuntimeError):
    """An object cannot be read; the text has its address and S3's own reason."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status, `None` where nothing answered."""


class S3Reader:
    """Reads whole objects, and tries again where S3 is busy. Region, endpoint, certificates and credentials come from
    the environment variables of Lambda and botocore."""

    def __init__(self, timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS)) -> None:
        """`timeout` is of connecting and of reading, in seconds."""
        self._region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        verify: Any = os.environ.get("AWS_CA_BUNDLE") or True
        given: Any = timeout
        self._session = URLLib3Session(verify=verify, timeout=given)

    def open(self, bucket: str, key: str) -> Any:
        """Returns the object's body, with `read(n)` and `close()`. Raises `ObjectUnavailableError`."""
        backoff = Backoff(*WAITS)
        for left in reversed(range(TRIES)):
            problem, again = "", True
            try:
                response = self._get(bucket, key)
                if response.status_code == OK:
                    return response.raw
                problem = f"{response.status_code}: {response.content.decode(errors='replace')[:300]}"
                again = response.status_code >= SERVER_ERROR or response.status_code == THROTTLED
            except HTTPClientError as error:
                problem = str(error)
            if not again or not left:
                raise ObjectUnavailableError(f"s3://{bucket}/{key}: {problem}")
            backoff.wait()
        raise AssertionError("the last try returns or raises")

    def changed(self, bucket: str, key: str, etag: str) -> tuple[bytes, Mapping[str, str]] | None:
        """Returns a small object and its headers; `None` if it still has this ETag. It tries once.

        Raises `ObjectUnavailableError` (S3's API reference, "GetObject": If-None-Match is answered with 304).
        """
        try:
            response = self._get(bucket, key, {"If-None-Match": etag} if etag else {})
            if response.status_code == NOT_MODIFIED:
                return None
            content: bytes = response.content
        except HTTPClientError as error:
            raise ObjectUnavailableError(f"s3://{bucket}/{key}: {error}") from error
        if response.status_code != OK:
            told = f"{response.status_code}: {content.decode(errors='replace')[:300]}"
            raise ObjectUnavailableError(f"s3://{bucket}/{key}: {told}", response.status_code)
        return content, response.headers

    def close(self) -> None:
        self._session.close()

    def _get(self, bucket: str, key: str, headers: Mapping[str, str] | None = None) -> Any:
        request = AWSRequest("GET", self._url(bucket, key), headers=dict(headers or {}), stream_output=True)
        S3SigV4Auth(_credentials(), "s3", self._region).add_auth(request)
        return self._session.send(request.prepare())

    def _url(self, bucket: str, key: str) -> str:
        if self._endpoint:
            return f"{self._endpoint.rstrip('/')}/{bucket}/{quote(key)}"
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        return f"https://{bucket}.s3.{self._region}.{suffix}/{quote(key)}"


def _credentials() -> Credentials:
    """Returns the credentials: from variables or, after a restore from a snapshot, from Lambda's endpoint."""
    credentials: Credentials | None = EnvProvider().load() or ContainerProvider().load()
    if credentials is None:
        raise ObjectUnavailableError("S3: expected AWS credentials in the function's environment, found none")
    return credentials
