"""Reads the metrics of the versions that were published before, for the report of the next one."""

import contextlib
from collections.abc import Mapping
from typing import Any

from contracts import artifacts as contract
from training.errors import TrainingError
from training.folders import folder

MOST = 20
"""The number of versions that are shown, the latest ones."""

History = list[tuple[str, Mapping[str, Any]]]
"""Pairs of a version and its metrics, the latest first."""


def published(output: str) -> History:
    """Returns the versions in the output, without those that have no metrics (made elsewhere) or cannot be read."""
    root, found = folder(output), []
    with contextlib.suppress(TrainingError):
        for version in sorted(root.folders(), reverse=True)[:MOST]:
            text = root.child(version).read(contract.MANIFEST)
            with contextlib.suppress(contract.ManifestError):
                manifest = contract.read_manifest(text or b"")
                if manifest.metrics:
                    found.append((version, manifest.metrics))
    return found
