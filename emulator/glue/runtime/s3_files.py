"""Presents S3 as the file system that Hadoop expects, with the behaviour of Glue's own S3 file system and committer."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from botocore.exceptions import ClientError

from .looks import Looks

PENDING = "_temporary"
"""Files of uncommitted tasks lie below a folder of this name (Hadoop's FileOutputCommitter)."""


class NotFoundError(Exception):
    """No such file or folder."""


class DeniedError(Exception):
    """S3 refused. The text is S3's own, which names the action."""


@dataclass(frozen=True)
class Status:
    """A file or a folder. `name` is relative to the path that was asked for, `size` in bytes, `modified` in ms since
    1970."""

    name: str
    is_folder: bool
    size: int = 0
    modified: int = 0


class S3Files:
    """Paths are `bucket/key`. Each call to S3 is made with the client's credentials, those of the job's role.

    Two things behave as in Glue and are no objects in the bucket. S3 has no folders, so a folder that is made is only
    remembered. And Glue's S3-optimized committer uploads files of uncommitted tasks in parts that no reader sees before
    the commit; here such files wait on disk, and the commit's rename writes the object. So a killed job leaves nothing
    of them.
    """

    def __init__(self, client: Any, spool_folder: str) -> None:
        self._s3 = client
        self._spool = spool_folder
        self._lock = threading.Lock()
        self._folders: set[str] = set()
        self._pending: dict[str, tuple[IO[bytes], int]] = {}
        self._looks = Looks()

    def status(self, path: str) -> Status:
        """Returns the status of a path. Raises `NotFoundError`, `DeniedError`."""
        with self._lock:
            if path in self._pending:
                return Status("", False, self._pending[path][1])
            if path in self._folders or "/" not in path or any(key.startswith(path + "/") for key in self._pending):
                return Status("", True)
        if PENDING in path.split("/") or self._looks.was_absent(path):
            raise NotFoundError(path)
        bucket, key = path.split("/", 1)
        # GetObject's permission is enough for an object that exists; only otherwise is a listing needed.
        with contextlib.suppress(NotFoundError, DeniedError):
            head = self._call("head_object", Bucket=bucket, Key=key)
            return Status("", False, head["ContentLength"], _milliseconds(head))
        if self._call("list_objects_v2", Bucket=bucket, Prefix=key + "/", MaxKeys=1).get("Contents"):
            return Status("", True)
        self._looks.is_absent(path)
        raise NotFoundError(path)

    def children(self, path: str) -> list[Status]:
        """Returns the file itself, or the entries of a folder. Raises `NotFoundError`, `DeniedError`."""
        below = {status.name: status for status in self._listed(path)}
        if below:
            return sorted(below.values(), key=lambda status: status.name)
        status = self.status(path)
        return [] if status.is_folder else [status]

    def open(self, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        """Yields `length` bytes from `offset` on. Raises `NotFoundError`, `DeniedError`."""
        with self._lock:
            pending = self._pending.get(path)
        if pending:
            pending[0].seek(offset)
            return iter([pending[0].read(-1 if length is None else length)])
        bucket, key = _split(path)
        end = "" if length is None else str(offset + length - 1)
        if length == 0:
            return iter([])
        body = self._call("get_object", Bucket=bucket, Key=key, Range=f"bytes={offset}-{end}")["Body"]
        chunks: Iterator[bytes] = body.iter_chunks(256 * 1024)
        return chunks

    def create(self, path: str, content: IO[bytes], size: int) -> None:
        """Stores `content`, which must not be used afterwards. Raises `DeniedError`."""
        if PENDING in path.split("/"):
            with self._lock:
                self._pending[path] = (content, size)
            return
        self._put(path, content)

    def spool(self) -> IO[bytes]:
        """Returns a temporary file that collects the content of a new file."""
        return tempfile.TemporaryFile(dir=self._spool)

    def make_folder(self, path: str) -> None:
        with self._lock:
            while "/" in path:
                self._folders.add(path)
                path = path.rsplit("/", 1)[0]

    def rename(self, source: str, target: str) -> bool:
        """Renames a file or a folder. If the target is a folder, it moves into it, as in HDFS. Raises `DeniedError`."""
        with contextlib.suppress(NotFoundError):
            if self.status(target).is_folder:
                target = f"{target}/{source.rsplit('/', 1)[-1]}"
        moved = self._rename_pending(source, target) + self._rename_objects(source, target)
        with self._lock:
            inside = {folder for folder in self._folders if folder == source or folder.startswith(source + "/")}
            self._folders -= inside
            self._folders |= {target + folder[len(source) :] for folder in inside}
        return bool(moved or inside)

    def delete(self, path: str, recursive: bool) -> bool:
        """Deletes a file or a folder. Raises `DeniedError`."""
        with self._lock:
            for pending in [key for key in self._pending if key == path or key.startswith(path + "/")]:
                self._pending.pop(pending)[0].close()
            self._folders -= {folder for folder in self._folders if folder == path or folder.startswith(path + "/")}
        if PENDING in path.split("/"):
            return True
        bucket, key = _split(path)
        for name in self._keys(bucket, key + "/") if recursive else []:
            self._delete(f"{bucket}/{name}")
        self._delete(path)
        return True

    def _listed(self, path: str) -> Iterator[Status]:
        with self._lock:
            names = list(self._folders) + [key for key in self._pending if "/" in key]
            sizes = {key: size for key, (_, size) in self._pending.items()}
        for name in names:
            if name.startswith(path + "/"):
                child = name[len(path) + 1 :].split("/", 1)[0]
                full = f"{path}/{child}"
                yield Status(child, full not in sizes, sizes.get(full, 0))
        if PENDING in path.split("/"):
            return
        bucket, _, key = path.partition("/")
        prefix = f"{key}/" if key else ""
        if (entries := self._all_below(path, bucket, prefix)) is not None:
            for entry in entries:
                name, is_inside, _ = entry["Key"][len(prefix) :].partition("/")
                yield Status(name, True) if is_inside else Status(name, False, entry["Size"], _milliseconds(entry))
            return
        for page in self._pages(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for folder in page.get("CommonPrefixes", []):
                yield Status(folder["Prefix"][len(prefix) : -1], True)
            for file in page.get("Contents", []):
                yield Status(file["Key"][len(prefix) :], False, file["Size"], _milliseconds(file))

    def _all_below(self, path: str, bucket: str, prefix: str) -> list[Any] | None:
        """Returns S3's entries of all objects below a folder; `None` if one page does not hold them.

        Hadoop lists a tree folder by folder: one call answers for all of them.
        """
        entries, changes = self._looks.entries_below(path)
        if entries is None:
            page = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix)
            if "NextContinuationToken" in page:
                return None
            entries = page.get("Contents", [])
            self._looks.are_below(path, entries, changes)
        return entries

    def _rename_pending(self, source: str, target: str) -> int:
        with self._lock:
            names = [key for key in self._pending if key == source or key.startswith(source + "/")]
            contents = [(name, *self._pending.pop(name)) for name in names]
        for name, content, size in contents:
            self.create(target + name[len(source) :], content, size)
        return len(contents)

    def _rename_objects(self, source: str, target: str) -> int:
        if PENDING in source.split("/"):
            return 0
        (bucket, key), (to_bucket, to_key) = _split(source), _split(target)
        names = [name for name in self._keys(bucket, key) if name == key or name.startswith(key + "/")]
        for name in names:
            self._call(
                "copy_object",
                Bucket=to_bucket,
                Key=to_key + name[len(key) :],
                CopySource={"Bucket": bucket, "Key": name},
            )
            self._looks.changed(f"{to_bucket}/{to_key}{name[len(key) :]}")
            self._delete(f"{bucket}/{name}")
        return len(names)

    def _put(self, path: str, content: IO[bytes]) -> None:
        bucket, key = _split(path)
        with content:
            content.seek(0)
            self._call("put_object", Bucket=bucket, Key=key, Body=content)
        self._looks.changed(path)

    def _delete(self, path: str) -> None:
        bucket, key = _split(path)
        self._call("delete_object", Bucket=bucket, Key=key)
        self._looks.changed(path)

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self._pages(Bucket=bucket, Prefix=prefix)
        return [file["Key"] for page in pages for file in page.get("Contents", [])]

    def _pages(self, **query: str) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = {"NextContinuationToken": None}
        while "NextContinuationToken" in page:
            token = page["NextContinuationToken"]
            page = self._call("list_objects_v2", **query, **({"ContinuationToken": token} if token else {}))
            yield page

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._s3, operation)(**arguments)
        except ClientError as error:
            place = f"s3://{arguments['Bucket']}/{arguments.get('Key', arguments.get('Prefix', ''))}"
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise NotFoundError(place) from error
            raise DeniedError(f"{error} ({place})") from error


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


def _milliseconds(entry: Any) -> int:
    return int(entry["LastModified"].timestamp() * 1000)
