"""Folders that training reads and writes: a local path or `s3://bucket/prefix`, with the same methods."""

import io
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.artifact_bucket import ArtifactBucket
from training.errors import TrainingError


class Folder(Protocol):
    """A folder of files by relative path. Each method raises `TrainingError` naming the file where storage fails."""

    def read(self, path: str) -> bytes | None:
        """Returns the file's content; `None` if there is no such file."""

    def write(self, path: str, content: bytes) -> None:
        """Writes a whole file, so that a reader sees all of it or nothing."""

    def child(self, path: str) -> "Folder": ...

    def folders(self) -> list[str]:
        """Returns the names of the folders in it."""


def folder(location: str | Path) -> Folder:
    """Opens a location. S3 is reached with the environment's credentials and, if it is set, `AWS_ENDPOINT_URL`."""
    text = str(location)
    if not text.startswith("s3://"):
        return LocalFolder(Path(text))
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not bucket:
        raise TrainingError(f"{text}: expected s3://bucket or s3://bucket/prefix")
    return S3Folder(boto3.Session().client("s3"), bucket, prefix.strip("/"))


class LocalFolder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TrainingError(f"{self._root / path}: cannot be read: {error.strerror}") from error

    def write(self, path: str, content: bytes) -> None:
        target = self._root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            partial.write_bytes(content)
            partial.replace(target)
        except OSError as error:
            raise TrainingError(f"{target}: cannot be written: {error.strerror}") from error

    def child(self, path: str) -> Folder:
        return LocalFolder(self._root / path)

    def folders(self) -> list[str]:
        return [path.name for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []


class S3Folder:
    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def _key(self, path: str) -> str:
        return str(PurePosixPath(self._prefix) / path)

    def read(self, path: str) -> bytes | None:
        try:
            content: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(path))["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError) as error:
            raise TrainingError(f"s3://{self._bucket}/{self._key(path)}: cannot be read: {error}") from error
        return content

    def write(self, path: str, content: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=content)
        except (ClientError, BotoCoreError) as error:
            raise TrainingError(f"s3://{self._bucket}/{self._key(path)}: cannot be written: {error}") from error

    def child(self, path: str) -> Folder:
        return S3Folder(self._client, self._bucket, self._key(path))

    def folders(self) -> list[str]:
        prefix = f"{self._prefix}/" if self._prefix else ""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        except (ClientError, BotoCoreError) as error:
            raise TrainingError(f"s3://{self._bucket}/{prefix}: cannot be listed: {error}") from error
        return [name.removeprefix(prefix).rstrip("/") for name in found]


class FolderArtifacts(ArtifactBucket):
    """A version's files in a folder, which are read and checked as the functions read them from the bucket."""

    def __init__(self, root: Folder) -> None:
        super().__init__(str(root))
        self._root = root

    def _open(self, version: str, name: str) -> io.BytesIO:
        content = self._root.read(name)
        if content is None:
            raise TrainingError(f"{self.name}/{name}: the manifest of version {version} names it, found no such file")
        return io.BytesIO(content)
