"""Uploads a version's files, the manifest last: its arrival starts the load."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts import artifacts as contract
from functions.embedding_loader import reader
from training.artifact_writer import digests
from training.errors import TrainingError
from training.folders import FolderArtifacts, LocalFolder
from training.folders import folder as open_folder


def publish(folder: Path, output: str) -> str:
    """Uploads the folder to `<output>/<version>/` and returns the version.

    Raises `TrainingError` if the manifest is missing, if a file differs from the one that it names, or if the version
    has nothing to recommend.
    """
    manifest_file = folder / contract.MANIFEST
    if not manifest_file.is_file():
        raise TrainingError(f"{folder}: expected {contract.MANIFEST}, found none: `publish` can write one")
    text = manifest_file.read_bytes()
    try:
        manifest = contract.read_manifest(text)
    except contract.ManifestError as error:
        raise TrainingError(f"{folder}: {error}") from error
    found = digests(folder)
    wrong = sorted(path for path, digest in manifest.files.items() if found.get(path) != digest)
    if wrong:
        raise TrainingError(f"{folder}: {contract.MANIFEST} names other content (sha256) for: {', '.join(wrong)}")
    _check_recommendable(folder, manifest)
    target = open_folder(output).child(manifest.version)
    for path in manifest.files:
        target.write(path, (folder / path).read_bytes())
    target.write(contract.MANIFEST, text)
    return manifest.version


def _check_recommendable(folder: Path, manifest: contract.Manifest) -> None:
    """Raises `TrainingError` if no item is in stock, or the catalogue cannot be read. Without one, all are in stock."""
    try:
        in_stock = [is_there for _, is_there, *_ in reader.item_catalog(FolderArtifacts(LocalFolder(folder)), manifest)]
    except contract.ManifestError as error:
        raise TrainingError(f"{folder}: not published: {error}") from error
    if in_stock and not any(in_stock):
        raise TrainingError(
            f"{folder}: not published: none of its {len(in_stock):,} items is in stock, so nobody could be recommended "
            "anything: look at [items] in_stock of dataset.toml (a stock that is not managed is NULL, not 0)"
        )


def write_manifest(folder: Path, similarity: str = "cosine", dataset: Mapping[str, Any] | None = None) -> None:
    """Writes a manifest for artifacts made elsewhere; the embeddings files are enough.

    Raises `TrainingError` if a file is missing, or has a row that the loader would refuse.
    """
    names = (contract.ITEM_EMBEDDINGS, contract.USER_EMBEDDINGS)
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise TrainingError(f"{folder}: expected {' and '.join(names)}, found no {' and no '.join(missing)}")
    version = contract.new_version(content=b"".join((folder / name).read_bytes() for name in names))
    try:
        dim = _dim(folder / contract.ITEM_EMBEDDINGS)
        manifest = contract.Manifest(version, dim, similarity, 1, 0, digests(folder), dataset)
        files = FolderArtifacts(LocalFolder(folder))
        items, users = (sum(len(chunk.ids) for chunk in reader.embeddings(files, manifest, name)) for name in names)
        manifest = replace(manifest, n_items=items, n_users=users)
    except contract.ManifestError as error:
        raise TrainingError(f"{folder}: {error}") from error
    (folder / contract.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _dim(path: Path) -> int:
    """Returns how many numbers the vector in the first row has."""
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        rows = csv.reader(stream)
        next(rows, None)
        return (next(rows, None) or [""])[-1].count(",") + 1
