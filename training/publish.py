"""Uploads a version's files, the manifest last: its arrival starts the load."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts import artifacts as contract
from training.artifacts import digests
from training.errors import TrainingError
from training.storage import folder as open_folder


def publish(folder: Path, output: str) -> str:
    """Uploads the folder to `<output>/<version>/` and returns the version.

    Raises `TrainingError` where the manifest is missing, where a file is not the one that it names, and for a version
    that could recommend nothing to anybody.
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
    _check_recommendable(folder)
    target = open_folder(output).child(manifest.version)
    for path in manifest.files:
        target.write(path, (folder / path).read_bytes())
    target.write(contract.MANIFEST, text)
    return manifest.version


def _check_recommendable(folder: Path) -> None:
    """Raises `TrainingError` if no item is in stock; without a catalogue all items count as in stock."""
    catalog = folder / contract.ITEM_CATALOG
    if not catalog.is_file():
        return
    with catalog.open(newline="", encoding="utf-8") as stream:
        in_stock = [row["in_stock"] == "true" for row in csv.DictReader(stream)]
    if in_stock and not any(in_stock):
        raise TrainingError(
            f"{folder}: not published: none of its {len(in_stock):,} items is in stock, so nobody could be recommended "
            "anything: look at [items] in_stock of dataset.toml (a stock that is not managed is NULL, not 0)"
        )


def write_manifest(folder: Path, similarity: str = "cosine", dataset: Mapping[str, Any] | None = None) -> None:
    """Writes a manifest for artifacts made elsewhere; the embeddings files are enough. Raises `TrainingError`."""
    n_items, dim = _measure(folder / contract.ITEM_EMBEDDINGS)
    n_users, user_dim = _measure(folder / contract.USER_EMBEDDINGS)
    if n_users and user_dim != dim:
        raise TrainingError(f"{folder}: expected users' vectors of {dim} numbers as the items', found {user_dim}")
    content = b"".join((folder / path).read_bytes() for path in (contract.ITEM_EMBEDDINGS, contract.USER_EMBEDDINGS))
    try:
        manifest = contract.Manifest(
            contract.new_version(content=content), dim, similarity, n_items, n_users, digests(folder), dataset
        )
    except contract.ManifestError as error:
        raise TrainingError(f"{folder}: {error}") from error
    (folder / contract.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _measure(path: Path) -> tuple[int, int]:
    """Rows and numbers a row of an embeddings file, each row checked."""
    if not path.is_file():
        raise TrainingError(
            f"{path}: expected a file with the columns {', '.join(contract.EMBEDDING_COLUMNS)}: not there"
        )
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != contract.EMBEDDING_COLUMNS:
            raise TrainingError(f"{path}: expected the columns id,embedding, found {','.join(rows.fieldnames or ())}")
        count, dim = 0, 0
        for count, row in enumerate(rows, start=1):
            found = _length(row["embedding"])
            if not found or (dim and found != dim):
                raise TrainingError(
                    f"{path}: row {count} ({row['id']}): expected a JSON list of {dim or 'finite'} numbers, "
                    f"found {row['embedding'][:60]!r}"
                )
            dim = found
    return count, dim


def _length(text: str) -> int:
    """Returns the length of a JSON list of finite numbers; 0 if the text is no such list."""
    try:
        numbers = json.loads(text, parse_constant=lambda name: None)
    except ValueError:
        return 0
    good = isinstance(numbers, list) and all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return len(numbers) if good else 0
