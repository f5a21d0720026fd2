"""Runs the three scanners, each in the environment that holds it, and reads their findings."""

import json
import linecache
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.findings import Finding
from audit.terraform import document
from emulator.program import ROOT
from local.graph.stack import record

CODE = (
    "__main__.py",
    "settings.py",
    "components",
    "contracts",
    "functions",
    "etl",
    "training",
    "operations",
    "storefront",
)
"""The folders and files that run in an account or against one."""
REQUIREMENTS = (
    "requirements.txt",
    "functions/constraints.txt",
    "requirements-local.txt",
    "requirements-test.txt",
    "requirements-bench.txt",
)

MIRRORED_BY_RUFF = {"B101", "B603"}
"""Bandit's checks that pyproject.toml turns off for ruff; the reasons are there."""


class NotCheckedError(Exception):
    """A scanner could not do its work, which is not the same as finding nothing. The text gives the reason."""


def checkov(tools: Path, stack: str) -> list[Finding]:
    """Checks the stack's resources against checkov's policies. Raises `NotCheckedError`."""
    graph = record(stack)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.tf.json").write_text(json.dumps(document(graph)))
        # Without the download, which fetches links to a vendor's pages for each check.
        options = ["--framework", "terraform_json", "--skip-download", "--quiet", "--compact", "--output", "json"]
        report = _run([str(tools / "checkov"), "--directory", folder, *options])
    if "results" not in report or not report["summary"]["passed"]:
        raise NotCheckedError(f"checkov read no resources of stack {stack}: {json.dumps(report)[:300]}")
    return [
        Finding(failed["check_id"], f"{stack}/{failed['resource'].split('.', 1)[1]}", failed["check_name"])
        for failed in report["results"]["failed_checks"]
    ]


def bandit(tools: Path) -> list[Finding]:
    """Checks the code. A line that ruff's same check may leave, with a reason beside it, is left here too."""
    report = _run([str(tools / "bandit"), "--recursive", *CODE, "--format", "json", "--quiet"])
    if report["errors"]:
        raise NotCheckedError(f"bandit could not read {report['errors']}")
    return [
        Finding(result["test_id"], f"{result['filename']}:{result['line_number']}", result["issue_text"])
        for result in report["results"]
        if result["test_id"] not in MIRRORED_BY_RUFF and not _excused(result)
    ]


def _excused(result: dict[str, Any]) -> bool:
    code = f"S{result['test_id'][1:]}"
    lines = [linecache.getline(str(ROOT / result["filename"]), number) for number in result["line_range"]]
    return any(re.search(rf"# noqa: .*\b{code}\b", line) for line in lines)


def pip_audit(tools: Path, requirements: Sequence[str] = REQUIREMENTS) -> list[Finding]:
    """Looks up every pinned package in PyPI's list of vulnerabilities.

    Raises `NotCheckedError` if a package could not be looked up: pip-audit itself then reports success.
    """
    findings = []
    skipped = []
    for path in requirements:
        pins = re.findall(r"^[\w.\-\[\]]+==[^\s;]+", (ROOT / path).read_text(), re.MULTILINE)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(pins))
            file.flush()
            options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
            report = _run([str(tools / "pip-audit"), "--requirement", file.name, *options])
        for package in report["dependencies"]:
            if "skip_reason" in package:
                skipped.append(package["name"])
            for vulnerability in package.get("vulns", []):
                fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
                findings.append(Finding(vulnerability["id"], f"{path}:{package['name']}", f"fixed in {fixed}"))
    if skipped:
        raise NotCheckedError(f"no answer for {len(skipped)} packages ({', '.join(sorted(set(skipped))[:5])}, …)")
    return findings


def _run(command: list[str]) -> Any:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise NotCheckedError(f"{Path(command[0]).name} ended with status {done.returncode}: {last[:300]}") from None
