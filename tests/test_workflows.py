"""The workflows: least permissions, pinned actions, nothing deployed from a pull request."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parent.parent / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(request.param.read_text())
    return document


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_no_permission_is_given_to_all_jobs_and_none_writes_the_repository(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        assert job["timeout-minutes"] <= 90


def test_every_action_is_pinned_to_a_commit(workflow: dict[Any, Any]) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action in used), used


def test_deployments_are_never_cancelled_and_previews_are(workflow: dict[Any, Any]) -> None:
    deploys = any((step.get("with") or {}).get("command") == "up" for step in steps(workflow))
    from_pull_request = "pull_request" in workflow[True]  # YAML reads the key `on` as true
    assert not (deploys and from_pull_request)
    assert workflow["concurrency"]["cancel-in-progress"] is from_pull_request


def test_a_forks_pull_request_gets_no_credentials() -> None:
    document: dict[Any, Any] = yaml.safe_load(
        next(path for path in WORKFLOWS if path.name == "pull-request.yml").read_text()
    )
    assert "pull_request_target" not in document[True]
    for job in document["jobs"].values():
        if "id-token" in job["permissions"]:
            assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
