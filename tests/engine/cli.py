"""Finds the Pulumi CLI that the tests run: the one on the PATH, else the one that `tools/pulumi/build.sh` built."""

import contextlib
import importlib.metadata
import os
import subprocess
from pathlib import Path

from pulumi.automation import PulumiCommand
from pulumi.automation.errors import InvalidVersionError
from semver import VersionInfo

from emulator.program import ROOT

HOW_TO = "put the Pulumi CLI (https://www.pulumi.com/docs/install/) or Go 1.26 on the PATH and run `make test` again"


def find() -> PulumiCommand | None:
    """A CLI that is as new as the SDK, or newer; `None` where there is none."""
    sdk = VersionInfo.parse(importlib.metadata.version("pulumi"))
    for root in (None, str(_built())):
        with contextlib.suppress(FileNotFoundError, InvalidVersionError, subprocess.CalledProcessError):
            return PulumiCommand(root, sdk)
    return None


def _built() -> Path:
    """The folder that `tools/pulumi/build.sh` builds into."""
    module = (ROOT / "tools" / "pulumi" / "go.mod").read_text().split()
    version = module[module.index("github.com/pulumi/pulumi/pkg/v3") + 1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "recommender" / f"pulumi-{version.removeprefix('v')}"
