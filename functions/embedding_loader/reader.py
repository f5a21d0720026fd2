"""Reads a version's csv files a chunk at a time, and checks every row of them."""

import csv
import itertools
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from contracts.artifacts import (
    EMBEDDING_COLUMNS,
    ITEM_CATALOG,
    ITEM_CATALOG_COLUMNS,
    ITEM_EMBEDDINGS,
    USER_CATALOG,
    USER_CATALOG_COLUMNS,
    USER_EMBEDDINGS,
    USER_TOWER,
    Manifest,
    ManifestError,
)
from functions.shared.artifacts import ArtifactBucket
from functions.shared.vectors import Vectors

CHUNK_ROWS = 4096

_numbers = msgspec.json.Decoder(list[list[float]])
_list_of_ids = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Embeddings:
    """A chunk: ids as UTF-8, and their vectors (len(ids), dim)."""

    ids: list[bytes]
    vectors: Vectors


def check(bucket: ArtifactBucket, manifest: Manifest) -> None:
    """Reads every file that a load or inference needs, to the end. Raises `ManifestError` at the first mistake.

    Memory: a chunk, and 8 bytes for each id, which is what knowing that none comes twice takes.
    """
    for name, count in ((ITEM_EMBEDDINGS, manifest.n_items), (USER_EMBEDDINGS, manifest.n_users)):
        hashes = array("q")
        for chunk in embeddings(bucket, manifest, name):
            hashes.extend(map(hash, chunk.ids))
        if len(hashes) != count:
            raise ManifestError(f"{name}: expected {count} rows, as the manifest counts, found {len(hashes)}")
        distinct = len(np.unique(np.frombuffer(hashes, np.int64)))
        if distinct != count:
            raise ManifestError(f"{name}: expected every id once, found {count - distinct} ids repeated")
    for rows in (item_catalog(bucket, manifest), user_catalog(bucket, manifest)):
        for _ in rows:
            pass
    if USER_TOWER in manifest.files:
        bucket.read(manifest, USER_TOWER)


def embeddings(bucket: ArtifactBucket, manifest: Manifest, name: str) -> Iterator[Embeddings]:
    """The chunks of an embeddings file, in its order. Raises `ManifestError`."""
    row = 1
    for rows in _chunks(bucket, manifest, name, EMBEDDING_COLUMNS):
        ids = [id_ for id_, _ in rows]
        _check_ids(name, row, ids)
        yield Embeddings([id_.encode() for id_ in ids], _vectors(name, row, [text for _, text in rows], manifest))
        row += len(rows)


def _vectors(name: str, first_row: int, texts: Sequence[str], manifest: Manifest) -> Vectors:
    try:
        with np.errstate(over="ignore"):
            vectors = np.array(_numbers.decode("[" + ",".join(texts) + "]"), dtype=np.float32)
        directed = manifest.similarity != "cosine" or vectors.any(axis=-1).all()
        if vectors.shape == (len(texts), manifest.dim) and np.isfinite(vectors).all() and directed:
            return vectors
    except (msgspec.DecodeError, ValueError, OverflowError):
        pass
    for row, text in enumerate(texts, first_row):
        _check_vector(name, row, text, manifest)
    raise ManifestError(f"{name}: rows from {first_row} on: expected one list of numbers a row")


def _check_vector(name: str, row: int, text: str, manifest: Manifest) -> None:
    """Says what is wrong with one row of a chunk that could not be read."""
    expected = f"{manifest.dim} finite numbers such as [0.1,…]"
    try:
        with np.errstate(over="ignore"):
            vector = np.array(_numbers.decode(f"[{text}]"), dtype=np.float32)
    except (msgspec.DecodeError, ValueError, OverflowError):
        raise ManifestError(f"{name}: row {row}: expected {expected}, found {text[:60]!r}") from None
    if vector.shape != (1, manifest.dim):
        raise ManifestError(f"{name}: row {row}: expected {expected}, found {vector.size} of them")
    if not np.isfinite(vector).all():
        raise ManifestError(f"{name}: row {row}: expected {expected}, found one that is not finite as a 32-bit float")
    if manifest.similarity == "cosine" and not vector.any():
        raise ManifestError(f"{name}: row {row}: expected a vector with a direction (cosine), found only zeros")


def item_catalog(bucket: ArtifactBucket, manifest: Manifest) -> Iterator[tuple[str, bool, float]]:
    """(id, in stock, popularity); nothing where the version has no catalog. Raises `ManifestError`."""
    row = 1
    for rows in _chunks(bucket, manifest, ITEM_CATALOG, ITEM_CATALOG_COLUMNS):
        _check_ids(ITEM_CATALOG, row, [values[0] for values in rows])
        for number, (id_, in_stock, popularity) in enumerate(rows, row):
            yield id_, _truth(number, in_stock), _popularity(number, popularity)
        row += len(rows)


def user_catalog(bucket: ArtifactBucket, manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    """(id, recent items); nothing where the version has no catalog. Raises `ManifestError`."""
    row = 1
    for rows in _chunks(bucket, manifest, USER_CATALOG, USER_CATALOG_COLUMNS):
        _check_ids(USER_CATALOG, row, [values[0] for values in rows])
        for number, (id_, text) in enumerate(rows, row):
            try:
                items = _list_of_ids.decode(text)
            except msgspec.DecodeError:
                raise ManifestError(
                    f"{USER_CATALOG}: row {number}: recent_items: expected a JSON list of ids, found {text[:60]!r}"
                ) from None
            yield id_, items
        row += len(rows)


def _truth(row: int, text: str) -> bool:
    if text not in ("true", "false"):
        raise ManifestError(f"{ITEM_CATALOG}: row {row}: in_stock: expected true or false, found {text!r}")
    return text == "true"


def _popularity(row: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ManifestError(f"{ITEM_CATALOG}: row {row}: popularity: expected a number of at least 0, found {text!r}")
    return value


def _check_ids(name: str, first_row: int, ids: Sequence[str]) -> None:
    if all(ids) and "\0" not in "".join(ids):
        return
    row = next(row for row, id_ in enumerate(ids, first_row) if not id_ or "\0" in id_)
    raise ManifestError(f"{name}: row {row}: expected an id of text, found it empty or with a NUL in it")


def _chunks(
    bucket: ArtifactBucket, manifest: Manifest, name: str, columns: tuple[str, ...]
) -> Iterator[list[list[str]]]:
    """A file's rows after its header, `CHUNK_ROWS` at a time; none where the version has no such file."""
    if name not in manifest.files:
        return
    with bucket.text(manifest, name) as text:
        rows = csv.reader(text)
        try:
            header = tuple(next(rows, ()))
            if header != columns:
                raise ManifestError(f"{name}: expected the columns {','.join(columns)}, found {','.join(header)!r}")
            done = 0
            while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
                for row, values in enumerate(chunk, done + 1):
                    if len(values) != len(columns):
                        raise ManifestError(f"{name}: row {row}: expected {len(columns)} values, found {len(values)}")
                yield chunk
                done += len(chunk)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ManifestError(f"{name}: expected csv in UTF-8: {error}") from error
