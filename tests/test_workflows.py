"""The workflows: least permissions, pinned actions, short-lived tokens, nothing deployed from a pull request."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.graph.recorder import LOOKUPS

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()

NEEDED_FOR = {
    "aws:index/getCallerIdentity:getCallerIdentity": set[str](),  # anybody may ask who they are
    "aws:index/getPartition:getPartition": set[str](),
    "aws:index/getRegion:getRegion": set[str](),  # the provider knows it
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"ec2:DescribeAvailabilityZones"},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {
        "ec2:DescribeManagedPrefixLists",
        "ec2:GetManagedPrefixListEntries",
    },
    "aws:ec2/getSubnet:getSubnet": {"ec2:DescribeSubnets"},
}
"""Look-up of the program → what its caller needs."""


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(request.param.read_text())
    return document


def read(name: str) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
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


def test_what_is_deployed_was_previewed_for_the_preview_refuses_before_anything_is_deleted() -> None:
    (deploy,) = [job for name, job in read("deploy.yml")["jobs"].items() if name == "deploy"]
    pulumi = [step["with"] for step in deploy["steps"] if step.get("uses", "").startswith("pulumi/actions@")]
    assert [step["command"] for step in pulumi] == ["preview", "up"]
    assert pulumi[0]["stack-name"] == pulumi[1]["stack-name"]


def test_a_forks_pull_request_gets_no_credentials() -> None:
    document = read("pull-request.yml")
    assert "pull_request_target" not in document[True]
    for job in document["jobs"].values():
        if "id-token" in job["permissions"]:
            assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"


def test_both_commands_run_from_nothing_on_each_system_that_the_readme_names() -> None:
    fresh = read("fresh.yml")["jobs"]["fresh"]
    assert {"make demo", "make test"} < {step.get("run") for step in fresh["steps"]}
    systems = {image.replace(":", " ") for image in fresh["strategy"]["matrix"]["image"]}
    readme = (WORKFLOWS[0].parents[2] / "README.md").read_text().lower()
    assert systems == set(
        re.findall(r"(?:debian|ubuntu) [\d.]*\d", readme.partition("## try it")[2].partition(".\n")[0])
    )


def test_no_workflow_holds_a_long_lived_secret(workflow: dict[Any, Any]) -> None:
    assert "secrets." not in json.dumps(workflow)
    for job in workflow["jobs"].values():
        used = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
        if "pulumi/actions" in used:
            assert used.index("pulumi/auth-actions") < used.index("pulumi/actions")


def test_only_a_job_of_an_environment_may_ask_for_a_token_and_it_runs_no_tests(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        runs_tests = any(re.search("make |pytest", step.get("run", "")) for step in job["steps"])
        asks_for_token = "id-token" in job["permissions"]
        assert runs_tests != asks_for_token
        assert asks_for_token == ("environment" in job)


def test_a_pull_requests_code_meets_the_preview_environment_alone() -> None:
    environments = {job["environment"] for job in read("pull-request.yml")["jobs"].values() if "environment" in job}
    assert environments == {"dev-preview"}
    for other in ("deploy.yml", "drift.yml"):
        assert "-preview" not in json.dumps(read(other))


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("branch", ["main", "elsewhere"])
def test_a_tag_is_deployed_only_if_main_has_its_commit(tmp_path: Path, branch: str) -> None:
    jobs = read("deploy.yml")["jobs"]
    (check,) = [step for step in jobs["check"]["steps"] if "merge-base" in step.get("run", "")]
    assert jobs["deploy"]["needs"] == "check"
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init")
    git(origin, "commit", "--allow-empty", "--message", "first")
    git(origin, "checkout", "-B", branch)
    git(origin, "commit", "--allow-empty", "--message", "second")
    git(origin, "tag", "v1")
    git(tmp_path, "clone", str(origin), str(clone))
    git(clone, "checkout", "--detach", "v1")
    done = subprocess.run(["bash", "-e", "-c", check["run"]], cwd=clone, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is (branch == "main")
    assert ("expected a commit of main" in done.stdout) is (branch != "main")


def test_every_environment_and_variable_is_documented(workflow: dict[Any, Any]) -> None:
    for variable in set(re.findall(r"vars\.(\w+)", json.dumps(workflow))):
        assert f"| `{variable}` |" in DEPLOYING
    for job in workflow["jobs"].values():
        stacks = job.get("strategy", {}).get("matrix", {}).get("stack", [])
        names = [job.get("environment", "").replace("${{ matrix.stack }}", stack) for stack in stacks]
        for name in names or re.findall(r"'(dev|prod)'", job.get("environment", "")) or [job.get("environment", "")]:
            assert f"`{name}`" in DEPLOYING or not name


def test_the_documented_preview_role_reads_what_the_program_looks_up_and_no_more() -> None:
    needed = set().union(*(NEEDED_FOR[token] for token in LOOKUPS))
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DEPLOYING, re.DOTALL)]
    (preview,) = [statement for policy in policies for statement in policy["Statement"] if "Sid" in statement]
    assert set(preview["Action"]) == needed


def test_what_runs_with_a_clouds_token_is_installed_by_hash(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        if "id-token" in job["permissions"]:
            installs = [step["run"] for step in job["steps"] if "pip install" in step.get("run", "")]
            assert installs
            assert all("--require-hashes --requirement requirements.lock" in line for line in installs)


def test_the_programs_lock_has_the_pinned_versions() -> None:
    root = WORKFLOWS[0].parents[2]
    pinned = re.findall(r"(?m)^[\w-]+==[\w.]+", (root / "requirements.txt").read_text())
    assert pinned
    locked = (root / "requirements.lock").read_text()
    assert [pin for pin in pinned if f"\n{pin} " not in locked] == []
