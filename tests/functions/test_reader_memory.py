"""The loader's memory does not grow with the files: a chunk at a time, and 8 bytes an id."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np

from contracts.artifacts import ITEM_EMBEDDINGS, USER_EMBEDDINGS, Manifest
from functions.embedding_loader import reader
from functions.shared.artifacts import ArtifactBucket, CheckedFile

DIM = 8


class Rows:
    """A file of any length that is made as it is read."""

    def __init__(self, count: int) -> None:
        vector = json.dumps([0.25] * DIM)
        rows = (f'I{number},"{vector}"\n'.encode() for number in range(count))
        self._rows: Iterator[bytes] = iter([b"id,embedding\n"])
        self._left = b""
        self._more = rows

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (row := next(self._rows, None) or next(self._more, None)):
            self._left += row
        data, self._left = self._left[:size], self._left[size:]
        return data

    def close(self) -> None:
        pass


class Bucket(ArtifactBucket):
    """A bucket whose item embeddings have `count` rows, and whose users are none. Digests are another test's."""

    def __init__(self, count: int) -> None:
        super().__init__("bucket")
        self._count = count

    def _open(self, version: str, name: str) -> Any:
        return Rows(self._count if name == ITEM_EMBEDDINGS else 0)

    def text(self, manifest: Manifest, name: str) -> io.TextIOWrapper:
        file = CheckedFile(self._open(manifest.version, name), manifest, name)
        file._check = lambda: None  # type: ignore[method-assign]
        return io.TextIOWrapper(io.BufferedReader(file, 1 << 16), encoding="utf-8", newline="")


def _peak(count: int) -> int:
    files = dict.fromkeys((ITEM_EMBEDDINGS, USER_EMBEDDINGS), "0" * 64)
    manifest = Manifest("20261101T000000Z-000001", DIM, "cosine", count, 0, files)
    tracemalloc.start()
    reader.check(Bucket(count), manifest)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_ten_times_the_rows_take_only_the_ids_hashes_more() -> None:
    few, many = reader.CHUNK_ROWS, 10 * reader.CHUNK_ROWS
    hashes = np.dtype(np.int64).itemsize * (many - few)
    # Finding repeated ones sorts a copy of the hashes, and an array grows by an eighth at a time.
    assert _peak(many) - _peak(few) < 4 * hashes + 200_000
