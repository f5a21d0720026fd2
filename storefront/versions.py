"""The model versions of a stack, each with the figures that training measured, and the switch between them."""

import json
import threading
import time
from typing import Any

from botocore.exceptions import ClientError

from contracts.artifacts import METRICS, version_moment
from operations import versions
from operations.versions import VersionError

FRESH_SECONDS = 3.0
"""Seconds for which the loader is not asked again: a look at the versions costs an invocation."""
SHOWN = ("ndcg@10", "recall@10")
MEASURED = "model"
"""The model's name among the ways of recommending in metrics.json; the others are what it is compared with."""


class Versions:
    """Versions as the loader tells them. `functions` is boto3's client for Lambda, `s3` the one for S3."""

    def __init__(self, functions: Any, loader: str, s3: Any, artifacts_bucket: str) -> None:
        self._functions = functions
        self._loader = loader
        self._s3 = s3
        self._bucket = artifacts_bucket
        self._lock = threading.Lock()
        self._status: dict[str, Any] = {}
        self._asked_at = float("-inf")
        self._figures: dict[str, dict[str, Any]] = {}

    def document(self) -> dict[str, Any]:
        """Returns the loaded versions, the newest first. Raises `VersionError` or boto3's errors."""
        with self._lock:
            status = self._now()
        loaded = sorted(status["loaded"], reverse=True)
        return {
            "active": status["active"],
            "loaded": [
                {
                    "version": version,
                    "made": version_moment(version).isoformat(),
                    "active": version == status["active"],
                    "pinned": version in status["pinned"],
                    **self._measured(version),
                }
                for version in loaded
            ],
        }

    def activate(self, version: str) -> None:
        """Makes the loader try a loaded version and switch to it. Raises `VersionError` or boto3's errors."""
        with self._lock:
            known = self._now()["loaded"]
            if version not in known:
                raise VersionError(f"version: expected one of {', '.join(known) or 'none'}, found {version[:100]!r}")
            self._keep(versions.act(self._functions, self._loader, "activate", version))

    def _now(self) -> dict[str, Any]:
        if time.monotonic() > self._asked_at + FRESH_SECONDS:
            self._keep(versions.act(self._functions, self._loader, "status"))
        return self._status

    def _keep(self, status: dict[str, Any]) -> None:
        self._status, self._asked_at = status, time.monotonic()

    def _measured(self, version: str) -> dict[str, Any]:
        """Returns the model's figures and the best other way's, and the gate's verdict; a version's never change."""
        if version not in self._figures:
            self._figures[version] = self._read(version)
        return self._figures[version]

    def _read(self, version: str) -> dict[str, Any]:
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=f"{version}/{METRICS}")["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "AccessDenied"):
                raise
            return {}  # made elsewhere, with vectors and a manifest only
        metrics = json.loads(body)
        ways = metrics["all"]
        others = {name: way for name, way in ways.items() if name != MEASURED}
        rival = max(others, key=lambda name: others[name][SHOWN[0]], default=None)
        return {
            "figures": {name: ways[MEASURED][name] for name in SHOWN},
            "rival": rival and {"name": rival, "figures": {name: others[rival][name] for name in SHOWN}},
            "gate": metrics["gate"]["passed"],
        }
