"""The loader's memory does not grow with the files: a chunk at a time, and 8 bytes an id."""

import io
import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from contracts.artifacts import (
    EMBEDDING_COLUMNS,
    ITEM_EMBEDDINGS,
    MAX_EXCLUDED_ITEMS,
    USER_CATALOG,
    USER_CATALOG_COLUMNS,
    USER_EMBEDDINGS,
    Manifest,
)
from contracts.events import MAX_ID_CHARACTERS
from functions.embedding_loader import reader, version_check
from functions.shared.artifact_bucket import ArtifactBucket, CheckedFile

DIM = 8
LOADER_BYTES = 512 * 1024 * 1024
"""The loader's memory (components/loading.py)."""


class Rows:
    """A file of any length that is made as it is read."""

    def __init__(self, header: str, rows: Iterator[bytes]) -> None:
        self._rows = itertools.chain([f"{header}\n".encode()], rows)
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (row := next(self._rows, None)):
            self._left += row
        data, self._left = self._left[:size], self._left[size:]
        return data

    def close(self) -> None:
        pass


class Bucket(ArtifactBucket):
    """A bucket whose files have these rows, and no others any. Digests are another test's."""

    def __init__(self, rows: Mapping[str, Iterable[bytes]]) -> None:
        super().__init__("bucket")
        self._rows = rows

    def _open(self, version: str, name: str) -> Any:
        columns = USER_CATALOG_COLUMNS if name == USER_CATALOG else EMBEDDING_COLUMNS
        return Rows(",".join(columns), iter(self._rows.get(name, ())))

    def text(self, manifest: Manifest, name: str) -> io.TextIOWrapper:
        file = CheckedFile(self._open(manifest.version, name), manifest, name)
        file._check = lambda: None  # type: ignore[method-assign]
        return io.TextIOWrapper(io.BufferedReader(file, 1 << 16), encoding="utf-8", newline="")


def _peak(n_items: int, rows: Mapping[str, Iterable[bytes]]) -> int:
    files = dict.fromkeys((ITEM_EMBEDDINGS, USER_EMBEDDINGS, *rows), "0" * 64)
    manifest = Manifest("20261101T000000Z-000001", DIM, "cosine", n_items, 0, files)
    tracemalloc.start()
    version_check.check(Bucket(rows), manifest)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _items(count: int) -> Iterator[bytes]:
    vector = json.dumps([0.25] * DIM)
    return (f'I{number},"{vector}"\n'.encode() for number in range(count))


def _peak_of_items(count: int) -> int:
    return _peak(count, {ITEM_EMBEDDINGS: _items(count)})


def test_ten_times_the_rows_take_only_the_ids_hashes_more() -> None:
    few, many = reader.CHUNK_ROWS, 10 * reader.CHUNK_ROWS
    hashes = np.dtype(np.int64).itemsize * (many - few)
    # Finding repeated ones sorts a copy of the hashes, and an array grows by an eighth at a time.
    assert _peak_of_items(many) - _peak_of_items(few) < 4 * hashes + 200_000


def test_customers_whose_lists_are_as_long_as_they_may_be_take_less_than_half_of_the_loaders_memory() -> None:
    ids = json.dumps(["i" * MAX_ID_CHARACTERS] * MAX_EXCLUDED_ITEMS).replace('"', '""')
    customers = (f'{number},"{ids}","{ids}"\n'.encode() for number in range(3 * reader.USER_CATALOG_ROWS))
    assert _peak(1, {ITEM_EMBEDDINGS: _items(1), USER_CATALOG: customers}) < LOADER_BYTES / 2
