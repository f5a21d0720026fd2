"""Reads model artifacts from the bucket: manifests, and files whose checksum is compared with the manifest's."""

import hashlib
import io
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from contracts.artifacts import MANIFEST, Manifest, ManifestError, read_manifest
from functions.shared.s3 import S3Reader

READ_BYTES = 1 << 20
"""Bytes of a file that are held in memory at a time."""


class Published(NamedTuple):
    """A version's manifest, its text, and the time at which S3 got it (in whole seconds, which is S3's precision)."""

    manifest: Manifest
    text: str
    at: datetime


class ArtifactBucket:
    """Reads one bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._s3: S3Reader | None = None

    def published(self, version: str) -> Published:
        """Reads a version's manifest.

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
        """Reads a whole file. Raises `ManifestError` where its checksum differs from the manifest's."""
        with CheckedFile(self._open(manifest.version, name), manifest, name) as file:
            return file.read()

    def text(self, manifest: Manifest, name: str) -> io.TextIOWrapper:
        """Opens a file as a text stream of bounded memory. At its end it raises `ManifestError` if the digest
        differs."""
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
    """A file of a version. At its end it raises `ManifestError` if its digest differs from the manifest's."""

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
