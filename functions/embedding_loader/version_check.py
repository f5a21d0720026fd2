"""Checks every file of a version before the database is touched."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from contracts.artifacts import (
    ITEM_CATALOG,
    ITEM_EMBEDDINGS,
    ITEM_TOWER,
    SIMILAR_ITEMS,
    USER_CATALOG,
    USER_EMBEDDINGS,
    USER_TOWER,
    Manifest,
    ManifestError,
)
from functions.embedding_loader import reader
from functions.shared.artifact_bucket import ArtifactBucket

NORM_TOLERANCE = 1e-3
"""Tolerance of the declared lengths, relative to them: numbers lose precision when they are written as text."""

Hashes = npt.NDArray[np.int64]


def check(bucket: ArtifactBucket, manifest: Manifest) -> None:
    """Reads every file that a load or inference needs, to the end. Raises `ManifestError` at the first mistake.

    Memory: a chunk, and 8 bytes for each id, which is what knowing that none comes twice takes.
    """
    items = _check_vectors(bucket, manifest, ITEM_EMBEDDINGS, "items", manifest.n_items)
    _check_vectors(bucket, manifest, USER_EMBEDDINGS, "users", manifest.n_users)
    _check_unique(SIMILAR_ITEMS, _checked_similar(bucket, manifest, items))
    _check_unique(ITEM_CATALOG, ([id_.encode()] for id_, *_ in reader.item_catalog(bucket, manifest)))
    _check_unique(USER_CATALOG, ([id_.encode()] for id_, *_ in reader.user_catalog(bucket, manifest)))
    for tower in manifest.files.keys() & {USER_TOWER, ITEM_TOWER}:
        bucket.read(manifest, tower)


def _check_vectors(bucket: ArtifactBucket, manifest: Manifest, name: str, kind: str, count: int) -> Hashes:
    """Returns the hash of every id."""
    chunks = _checked_norms(name, reader.embeddings(bucket, manifest, name), manifest.norms.get(kind))
    hashes = _check_unique(name, chunks)
    if len(hashes) != count:
        raise ManifestError(f"{name}: expected {count} rows, as the manifest counts, found {len(hashes)}")
    return hashes


def _checked_similar(bucket: ArtifactBucket, manifest: Manifest, items: Hashes) -> Iterator[list[bytes]]:
    """Yields the ids. Raises `ManifestError` where a row names an item that the version does not have."""
    for id_, _, similar in reader.similar_items(bucket, manifest):
        ids = [id_.encode(), *(near.encode() for near in similar)]
        hashes = np.fromiter(map(hash, ids), np.int64)
        # `items` is sorted; `np.isin` would sort it anew for each row.
        known = items[np.searchsorted(items, hashes).clip(max=len(items) - 1)] == hashes
        if not known.all():
            found = ids[int(known.argmin())].decode()
            raise ManifestError(f"{SIMILAR_ITEMS}: {id_!r}: expected items of {ITEM_EMBEDDINGS}, found {found!r}")
        yield ids[:1]


def _check_unique(name: str, chunks: Iterable[list[bytes]]) -> Hashes:
    """Returns the hash of every id, in ascending order."""
    hashes = array("q")
    for ids in chunks:
        hashes.extend(map(hash, ids))
    unique = np.unique(np.frombuffer(hashes, np.int64))
    if repeated := len(hashes) - len(unique):
        raise ManifestError(f"{name}: expected every id once, found {repeated} ids repeated")
    return unique


def _checked_norms(
    name: str, chunks: Iterable[reader.Embeddings], declared: Sequence[float] | None
) -> Iterator[list[bytes]]:
    for chunk in chunks:
        if declared is not None:
            norms = np.linalg.norm(chunk.vectors, axis=1)
            least, greatest = declared[0] * (1 - NORM_TOLERANCE), declared[1] * (1 + NORM_TOLERANCE)
            if norms.min() < least or norms.max() > greatest:
                raise ManifestError(
                    f"{name}: expected lengths of {declared[0]:g} to {declared[1]:g}, as the manifest declares, "
                    f"found {norms.min():g} to {norms.max():g}"
                )
        yield chunk.ids
