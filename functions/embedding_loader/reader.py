"""Reads a version's csv files a chunk at a time, and checks every row of them."""

import csv
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from contracts.artifacts import (
    EMBEDDING_COLUMNS,
    ITEM_CATALOG,
    ITEM_CATALOG_COLUMNS,
    MAX_EXCLUDED_ITEMS,
    MAX_LENGTH,
    MAX_RECENT_ITEMS,
    MAX_SIMILAR_ITEMS,
    MIN_LENGTH,
    SIMILAR_ITEMS,
    SIMILAR_ITEMS_COLUMNS,
    USER_CATALOG,
    USER_CATALOG_COLUMNS,
    Manifest,
    ManifestError,
    has_length,
)
from contracts.attributes import MAX_CHARACTERS, Value
from contracts.events import MAX_ID_CHARACTERS
from contracts.features import FLOAT32_MAX
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.vectors import Vectors

CHUNK_ROWS = 4096
USER_CATALOG_ROWS = 8
"""A chunk of customers, each of whom may have two lists of `MAX_EXCLUDED_ITEMS` ids: 10 MB of the longest ones."""
ITEM_CATALOG_ROWS = 512
"""A chunk of items: 5 MB of the longest attributes."""

_numbers = msgspec.json.Decoder(list[list[float]])
_list_of_ids = msgspec.json.Decoder(list[str])
_list_of_similar = msgspec.json.Decoder(list[tuple[str, float]])
_attributes = msgspec.json.Decoder(dict[str, Value])

# The default, 131,072 characters, is less than a list of 10,000 ids has. The limit is of the process (Python: csv).
csv.field_size_limit(len("[]") + MAX_EXCLUDED_ITEMS * (MAX_ID_CHARACTERS + len('"", ')))


@dataclass(frozen=True)
class Embeddings:
    """A chunk: ids as UTF-8, and their vectors (len(ids), dim)."""

    ids: list[bytes]
    vectors: Vectors


def embeddings(bucket: ArtifactBucket, manifest: Manifest, name: str) -> Iterator[Embeddings]:
    """Yields the chunks of an embeddings file, in its order. Raises `ManifestError`."""
    for row, rows in _chunks(bucket, manifest, name, EMBEDDING_COLUMNS):
        vectors = _vectors(name, row, [text for _, text in rows], manifest)
        yield Embeddings([id_.encode() for id_, _ in rows], vectors)


def _vectors(name: str, first_row: int, texts: Sequence[str], manifest: Manifest) -> Vectors:
    try:
        with np.errstate(over="ignore"):
            vectors = np.array(_numbers.decode("[" + ",".join(texts) + "]"), dtype=np.float32)
        if vectors.shape == (len(texts), manifest.dim) and np.isfinite(vectors).all():
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
            if has_length(lengths.min(), manifest.similarity) and lengths.max() <= MAX_LENGTH:
                return vectors
    except (msgspec.DecodeError, ValueError, OverflowError):
        pass
    for row, text in enumerate(texts, first_row):
        _check_vector(name, row, text, manifest)
    raise ManifestError(f"{name}: rows from {first_row} on: expected one list of numbers a row")


def _check_vector(name: str, row: int, text: str, manifest: Manifest) -> None:
    """Raises `ManifestError` with the mistake in one row of a chunk that could not be read."""
    expected = f"{manifest.dim} finite numbers such as [0.1,…]"
    try:
        with np.errstate(over="ignore"):
            vector = np.array(_numbers.decode(f"[{text}]"), dtype=np.float32)
    except (msgspec.DecodeError, ValueError, OverflowError):
        raise _wrong(name, row, expected, repr(text[:60])) from None
    if vector.shape != (1, manifest.dim):
        raise _wrong(name, row, expected, f"{vector.size} of them")
    if not np.isfinite(vector).all():
        raise _wrong(name, row, expected, "one that is not finite as a 32-bit float")
    if manifest.similarity == "cosine" and not vector.any():
        raise _wrong(name, row, "a vector with a direction (cosine)", "only zeros")
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not has_length(length, manifest.similarity):
        found = f"{length:g}: 32-bit floats cannot compute its distances"
        raise _wrong(name, row, f"a length of {MIN_LENGTH:g} to {MAX_LENGTH:g}", found)


def item_catalog(bucket: ArtifactBucket, manifest: Manifest) -> Iterator[tuple[str, bool, float, str | None]]:
    """Yields (id, in stock, popularity, JSON of the attributes); nothing if the version has no catalogue.

    Raises `ManifestError`.
    """
    columns, before = ITEM_CATALOG_COLUMNS, ITEM_CATALOG_COLUMNS[:-1]
    for first, rows in _chunks(bucket, manifest, ITEM_CATALOG, columns, before, chunk_rows=ITEM_CATALOG_ROWS):
        for row, (id_, in_stock, popularity, *attributes) in enumerate(rows, first):
            yield id_, _truth(row, in_stock), _popularity(row, popularity), _checked_attributes(row, *attributes)


def user_catalog(bucket: ArtifactBucket, manifest: Manifest) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields (id, the latest `MAX_RECENT_ITEMS` recent items, excluded items); nothing if the version has no catalogue.

    Raises `ManifestError`.
    """
    columns, before = USER_CATALOG_COLUMNS, USER_CATALOG_COLUMNS[:-1]
    for first, rows in _chunks(bucket, manifest, USER_CATALOG, columns, before, chunk_rows=USER_CATALOG_ROWS):
        for row, (id_, recent, *excluded) in enumerate(rows, first):
            recent_items = _ids(row, "recent_items", recent)[:MAX_RECENT_ITEMS]
            yield id_, recent_items, _ids(row, "excluded_items", *excluded)


def similar_items(bucket: ArtifactBucket, manifest: Manifest) -> Iterator[tuple[str, str, list[str]]]:
    """Yields (id, its similar items as the store keeps them, their ids); nothing if the version has no such file.

    Raises `ManifestError`.
    """
    for first, rows in _chunks(bucket, manifest, SIMILAR_ITEMS, SIMILAR_ITEMS_COLUMNS):
        for row, (id_, text) in enumerate(rows, first):
            yield id_, text, _similar(row, id_, text)


def _similar(row: int, id_: str, text: str) -> list[str]:
    where = f"{row}: similar"
    try:
        similar = _list_of_similar.decode(text)
    except msgspec.DecodeError:
        raise _wrong(SIMILAR_ITEMS, where, 'a JSON list such as [["S50_1005",0.125]]', repr(text[:60])) from None
    ids, distances = [near for near, _ in similar], [distance for _, distance in similar]
    if len(similar) > MAX_SIMILAR_ITEMS:
        raise _wrong(SIMILAR_ITEMS, where, f"{MAX_SIMILAR_ITEMS} items at most", len(similar))
    if len(set(ids)) < len(ids) or id_ in ids:
        raise _wrong(SIMILAR_ITEMS, where, "other items, each once", repr(text[:60]))
    if distances != sorted(distances):
        raise _wrong(SIMILAR_ITEMS, where, "the nearest first", repr(text[:60]))
    return ids


def _ids(row: int, column: str, text: str = "[]") -> list[str]:
    where = f"{row}: {column}"
    try:
        ids = _list_of_ids.decode(text)
    except msgspec.DecodeError:
        ids = None
    if ids is None or "\0" in "".join(ids):
        raise _wrong(USER_CATALOG, where, "a JSON list of ids without NUL", repr(text[:60]))
    if len(ids) > MAX_EXCLUDED_ITEMS:
        raise _wrong(USER_CATALOG, where, f"{MAX_EXCLUDED_ITEMS:,} ids at most", f"{len(ids):,}")
    if (longest := max(map(len, ids), default=0)) > MAX_ID_CHARACTERS:
        raise _wrong(USER_CATALOG, where, f"ids of {MAX_ID_CHARACTERS} characters at most", f"one of {longest:,}")
    return ids


def _truth(row: int, text: str) -> bool:
    if text not in ("true", "false"):
        raise _wrong(ITEM_CATALOG, f"{row}: in_stock", "true or false", repr(text))
    return text == "true"


def _popularity(row: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= FLOAT32_MAX:
        expected = "a number of at least 0 that a 32-bit float holds"
        raise _wrong(ITEM_CATALOG, f"{row}: popularity", expected, repr(text))
    return value


def _checked_attributes(row: int, text: str = "") -> str | None:
    if not text:
        return None
    try:
        good = len(text) <= MAX_CHARACTERS and "\0" not in "".join(map(str, _attributes.decode(text).items()))
    except msgspec.DecodeError:
        good = False
    if not good:
        expected = "a JSON object of texts, numbers and lists of texts without NUL"
        expected += f", of {MAX_CHARACTERS:,} characters at most"
        raise _wrong(ITEM_CATALOG, f"{row}: attributes", expected, repr(text[:60]))
    return text


def _check_ids(name: str, first_row: int, ids: Sequence[str]) -> None:
    for row, id_ in enumerate(ids, first_row):
        if not id_ or "\0" in id_ or len(id_) > MAX_ID_CHARACTERS:
            found = "it empty" if not id_ else "a NUL in it" if "\0" in id_ else f"{len(id_)} characters"
            raise _wrong(name, row, f"an id of 1 to {MAX_ID_CHARACTERS} characters", found)


def _wrong(name: str, row: int | str, expected: str, found: object) -> ManifestError:
    """Returns the error of a file's row, or of one of its columns: `7: in_stock`."""
    return ManifestError(f"{name}: row {row}: expected {expected}, found {found}")


def _chunks(
    bucket: ArtifactBucket,
    manifest: Manifest,
    name: str,
    columns: tuple[str, ...],
    earlier_columns: tuple[str, ...] = (),
    *,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[tuple[int, list[list[str]]]]:
    """Yields a file's rows after its header, `chunk_rows` at a time, with the first one's number. Checks the number of
    values in each row, and its id, the first value. Yields nothing if the version has no such file.

    `earlier_columns` is a header that earlier releases wrote.
    """
    if name not in manifest.files:
        return
    with bucket.text(manifest, name) as text:
        rows = csv.reader(text)
        try:
            header = tuple(next(rows, ()))
            if header not in (columns, earlier_columns or columns):
                raise ManifestError(f"{name}: expected the columns {','.join(columns)}, found {','.join(header)!r}")
            first = 1
            while chunk := list(itertools.islice(rows, chunk_rows)):
                for row, values in enumerate(chunk, first):
                    if len(values) != len(header):
                        raise _wrong(name, row, f"{len(header)} values", len(values))
                _check_ids(name, first, [values[0] for values in chunk])
                yield first, chunk
                first += len(chunk)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ManifestError(f"{name}: expected csv in UTF-8: {error}") from error
