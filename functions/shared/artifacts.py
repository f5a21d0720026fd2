"""Model artifacts in the bucket: manifests, and files that are checked against the manifest as they are read."""

import hashlib
import io
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from contracts.artifacts import MANIFEST, Manifest, ManifestError, read_manifest
from functions.shared.s3 import S3Reader

READ_BYTES = 1 << 20
"""How much of a file is held at a time."""


class Published(NamedTuple):
    """A version's manifest, its text, and when it came to the bucket (in whole seconds, as S3 says it)."""

    manifest: Manifest
    text: str
    at: datetime


class ArtifactBucket:
    """Reads one bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._s3: S3Reader | None = None

    def published(self, version: str) -> Published:
        """A version's manifest as it lies in the bucket.

        Raises `ObjectUnavailableError` where there is none, `ManifestError` where it cannot be used.
        """
        body = self._open(version, MANIFEST)
        try:
            text = body.read().decode()
        except UnicodeDecodeError as error:
            raise ManifestError(f"{version}/{MANIFEST}: expected JSON in UTF-8: {error}") from error
        manifest = read_manifest(text)
        if manifest.version != version:
            raise ManifestError(f"{version}/{MANIFEST}: expected version {version!r}, found {manifest.version!r}")
        return Published(manifest, text, parsedate_to_datetime(body.headers["Last-Modified"]))

    def read(self, manifest: Manifest, name: str) -> bytes:
        """A whole file. Raises `ManifestError` where it is not the one that the manifest names."""
        with CheckedFile(self._open(manifest.version, name), manifest, name) as file:
            return file.read()

    def text(self, manifest: Manifest, name: str) -> io.TextIOWrapper:
        """A file as a text stream of bounded memory, which raises `ManifestError` at its end if the digest differs."""
        file = CheckedFile(self._open(manifest.version, name), manifest, name)
        return io.TextIOWrapper(io.BufferedReader(file, READ_BYTES), encoding="utf-8", newline="")

    def close(self) -> None:
        if self._s3 is not None:
            self._s3.close()

    def _open(self, version: str, name: str) -> Any:
        # At the first read: a version without a model needs no S3 for its answers.
        self._s3 = self._s3 or S3Reader()
        return self._s3.open(self.name, f"{version}/{name}")


class CheckedFile(io.RawIOBase):
    """A file of a version that raises `ManifestError` instead of ending, where its digest is not the manifest's."""

    def __init__(self, body: Any, manifest: Manifest, name: str) -> None:
        self._body = body
        self._expected = manifest.files[name]
        self._name = f"{manifest.version}/{name}"
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes = self._body.read(len(buffer))
        if not data:
            self._check()
            return 0
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)

    def _check(self) -> None:
        if self._digest.hexdigest() != self._expected:
            raise ManifestError(
                f"{self._name}: expected sha256 {self._expected}, found {self._digest.hexdigest()}:"
                " the file is not the one that was published: publish the version again"
            )

    def close(self) -> None:
        self._body.close()
        super().close()
