"""The artifacts of a model version, below `<version>/` in the bucket of ML artifacts: file names and the manifest."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
ITEM_EMBEDDINGS = "embeddings/item_embeddings.csv"
USER_EMBEDDINGS = "embeddings/user_embeddings.csv"
CHECKPOINT = "model/best_model.pth"
USER_TOWER = "model/user_tower.onnx"
ITEM_TOWER = "model/item_tower.onnx"
SCALERS = (
    "scalers/user_ohe.pkl",
    "scalers/user_std_scaler.pkl",
    "scalers/item_ohe.pkl",
    "scalers/item_std_scaler.pkl",
)
ITEM_CATALOG = "catalog/items.csv"
USER_CATALOG = "catalog/users.csv"
SIMILAR_ITEMS = "catalog/similar_items.csv"
METRICS = "metrics.json"
REPORT = "report.html"

EMBEDDING_COLUMNS = ("id", "embedding")
"""`id` is the key as text; `embedding` is a JSON list of `dim` numbers, for instance `[0.1,-0.25]`."""
ITEM_CATALOG_COLUMNS = ("id", "in_stock", "popularity", "attributes")
"""`id` is the item's key as text; `in_stock` is `true` or `false`; `popularity` is a number of at least 0: the item's
share of all ratings, for instance `0.0123`; `attributes` is a JSON object of `contracts.attributes`, for instance
`{"name":"1969 Harley","price":48.81}`. An earlier release wrote the file without this column: then items have none."""
USER_CATALOG_COLUMNS = ("id", "recent_items", "excluded_items")
"""`id` is the user's key as text; `recent_items` is a JSON list of item ids, for instance `["S10_1015","S50_1005"]`,
the most recently rated first. Where ratings have no time, it holds only items that the user liked. `excluded_items` is
a JSON list of the items that are not recommended to the user again, in any order. An earlier release wrote the file
without this column: then nothing is excluded."""
SIMILAR_ITEMS_COLUMNS = ("id", "similar")
"""`id` is an item's key as text; `similar` is a JSON list of its nearest items in stock with pgvector's distances (1 −
cosine, or the negative inner product), the nearest first: `[["S50_1005",0.125],["S10_1015",0.25]]`. The load searches
for the items that the file has no row of; there may be no file."""
MAX_SIMILAR_ITEMS = 20
"""The most similar items that are kept for an item."""
MAX_RECENT_ITEMS = 50
"""The most items of a user's history that the model reads: in training, of `recent_items`, and at inference, where the
session's items come first. The latest ones count."""
MAX_EXCLUDED_ITEMS = 10_000
"""The most items that are excluded for one user: the most recently rated ones."""

# The inputs of user_tower.onnx: one for each feature column of users, under the column's name, and the two below.
#   categorical        string (batch,)                 a missing value is ""
#   numeric, integer   float32 (batch,)                a missing value is NaN
#   tags               string (batch, n_tags)          split, padded with ""
#   text (of items)    string (batch, n_words)         `contracts.features.words`, padded with ""
#   recent_items       float32 (batch, n_recent, dim)  stored vectors of recent items, most recent first; n_recent >= 1
#   recent_items_mask  float32 (batch, n_recent)       1 where there is an item, 0 where there is padding
# Its output: user_vector float32 (batch, dim).
RECENT_ITEMS_INPUT = "recent_items"
RECENT_ITEMS_MASK_INPUT = "recent_items_mask"
USER_VECTOR_OUTPUT = "user_vector"

# The inputs of item_tower.onnx: one for each feature column of items, of the same types. It is how an item is embedded
# that was not in training; one that was has its vector in ITEM_EMBEDDINGS. Without features of items there is no file.
# Its output: item_vector float32 (batch, dim).
ITEM_VECTOR_OUTPUT = "item_vector"

MAX_DIM = 2000
"""The most numbers a vector may have: pgvector's limit for an HNSW index over `vector` (its README, section HNSW)."""

SIMILARITIES = ("cosine", "inner_product")

SCORE_DIGITS = 6
"""Digits of scores and distances in answers: more than a 32-bit float near 1 has, at half the bytes of all digits."""

MIN_LENGTH, MAX_LENGTH = 1e-12, 1e12
"""The shortest and the longest vector that is accepted (Euclidean length). pgvector computes with 32-bit floats, and
the squares of shorter or longer ones leave their range."""
NORMS_FACTOR = 10.0
"""The factor by which a user tower's vectors may lie outside of the lengths that the manifest declares."""

_VERSION = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{6}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestError(ValueError):
    """The manifest cannot be used, or a file is not the one that it names; the text says which and why."""


def new_version(now: datetime | None = None, content: bytes = b"") -> str:
    """Returns a version that sorts by time, such as `20261120T173000Z-1a2b3c`; its tail is a digest of the content."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content).hexdigest()[:6]}"


def version_moment(version: str) -> datetime:
    """Returns the moment (UTC) that a version's name gives. Raises `ValueError` for a text that is no version."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"version: expected one such as 20261120T173000Z-1a2b3c, found {version!r}")
    return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def has_length(length: float, similarity: str) -> bool:
    """Returns True where distances to a vector of this length can be computed. Cosine needs a length above zero."""
    return (MIN_LENGTH if similarity == "cosine" else 0.0) <= length <= MAX_LENGTH


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`. It is uploaded last, and its arrival in the bucket starts the load."""

    version: str
    """The version's name and folder, for instance `20261120T173000Z-1a2b3c`; names sort by time."""
    dim: int
    """The numbers of a vector, 1 to `MAX_DIM`, for instance 32."""
    similarity: str
    """One of `SIMILARITIES`; training, index and query all use it."""
    n_items: int
    """The rows of `ITEM_EMBEDDINGS`, 1 or more. In the JSON: `counts.items`."""
    n_users: int
    """The rows of `USER_EMBEDDINGS`, 0 or more. In the JSON: `counts.users`."""
    files: Mapping[str, str]
    """Path, relative to the version's folder → the file's sha256 in hexadecimal (64 characters of 0-9a-f)."""
    dataset: Mapping[str, Any] | None = None
    """The specification, as `contracts.dataset.Dataset.to_dict` gives it; `None` for artifacts made elsewhere."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """The figures and the verdict of training, as in `metrics.json`; the load does not read them."""
    norms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """`items`, `users` → (least, greatest) length of the vectors in the embeddings files, for instance (1.0, 1.0). The
    load checks what is declared."""

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected {expected}, found {found!r}"
            for name, expected, found, good in self._checks()
            if not good
        ]
        if mistakes:
            raise ManifestError(f"{MANIFEST} cannot be used: " + "; ".join(mistakes))

    def _checks(self) -> Iterable[tuple[str, str, object, bool]]:
        yield "version", "a version such as 20261120T173000Z-1a2b3c", self.version, _is_version(self.version)
        yield "dim", f"1 to {MAX_DIM}", self.dim, _is_whole(self.dim, 1) and self.dim <= MAX_DIM
        yield "similarity", " or ".join(SIMILARITIES), self.similarity, self.similarity in SIMILARITIES
        yield "n_items", "1 or more", self.n_items, _is_whole(self.n_items, 1)
        yield "n_users", "0 or more", self.n_users, _is_whole(self.n_users, 0)
        yield "dataset", "an object or null", self.dataset, self.dataset is None or isinstance(self.dataset, Mapping)
        yield "metrics", "an object", self.metrics, isinstance(self.metrics, Mapping)
        yield "norms", "[least, greatest] of items and users", self.norms, _are_norms(self.norms)
        for name in {ITEM_EMBEDDINGS, USER_EMBEDDINGS, *self.files}:
            digest = self.files.get(name)
            yield f"files[{name!r}]", "its sha256", digest, isinstance(digest, str) and bool(_SHA256.fullmatch(digest))

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": self.version,
                "dim": self.dim,
                "similarity": self.similarity,
                "counts": {"items": self.n_items, "users": self.n_users},
                "dataset": self.dataset,
                "metrics": self.metrics,
                "norms": {kind: list(norms) for kind, norms in self.norms.items()},
                "files": dict(sorted(self.files.items())),
            },
            indent=1,
        )


def _is_version(version: object) -> bool:
    try:
        return isinstance(version, str) and bool(version_moment(version))
    except ValueError:
        return False


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_norms(norms: object) -> bool:
    return isinstance(norms, Mapping) and all(
        kind in ("items", "users")
        and isinstance(ends, list | tuple)
        and len(ends) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        and 0 <= ends[0] <= ends[1] <= MAX_LENGTH
        for kind, ends in norms.items()
    )


def read_manifest(text: str | bytes) -> Manifest:
    """Reads a manifest's JSON. Raises `ManifestError` where a key is missing or wrong."""
    try:
        document = json.loads(text)
        return Manifest(
            version=document["version"],
            dim=document["dim"],
            similarity=document["similarity"],
            n_items=document["counts"]["items"],
            n_users=document["counts"]["users"],
            files=dict(document["files"]),
            dataset=document.get("dataset"),
            metrics=document.get("metrics") or {},
            norms=document.get("norms") or {},
        )
    except KeyError as error:
        raise ManifestError(f"{MANIFEST} cannot be used: it has no {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError(f"{MANIFEST} cannot be used: not a manifest's JSON ({error})") from error
