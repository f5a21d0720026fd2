"""A temporary stack of this program, made by Pulumi's Automation API and always destroyed."""

import json
import runpy
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from acceptance.target import AcceptanceError

ROOT = Path(__file__).resolve().parent.parent
SETTINGS_OF = "dev"
"""The stack whose settings are used: it is cheap, and a destroy keeps and protects nothing.

A stack that keeps its data needs a preview before `up` and `destroy`, which those of the Automation API do not have
(docs/adr/0015).
"""
PROJECT = "recommender"
FUNCTION = "aws:lambda/function:Function"


def new_name() -> str:
    """Returns a stack name that no other run has."""
    return f"accept-{secrets.token_hex(4)}"


def program() -> None:
    """The program, as the engine's language host runs it."""
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


class EphemeralStack:
    """One stack. Its state lies in `folder`, so that the leftovers of a killed run can still be destroyed."""

    def __init__(
        self,
        folder: Path,
        name: str,
        region: str,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        command: automation.PulumiCommand | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        for inner in ("state", "work"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        options = automation.LocalWorkspaceOptions(
            work_dir=str(folder / "work"),
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": _passphrase(folder),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                **(environment or {}),
            },
            pulumi_command=command,
            project_settings=automation.ProjectSettings(name=PROJECT, runtime="python"),
        )
        self._stack = automation.create_or_select_stack(name, PROJECT, program, opts=options)
        self._configure(region, settings or {})

    def _configure(self, region: str, settings: Mapping[str, Any]) -> None:
        config = yaml.safe_load((ROOT / f"Pulumi.{SETTINGS_OF}.yaml").read_text())["config"]
        config["aws:region"] = region
        for key, value in settings.items():
            section, _, inner = key.partition(".")
            config.setdefault(f"{PROJECT}:{section}", {})[inner] = value
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        self._stack.set_all_config({key: automation.ConfigValue(text) for key, text in texts.items()})

    def up(self) -> str:
        """Makes all resources. Raises `CommandError` if the engine or the cloud refuses."""
        changes = self._stack.up(on_output=self._log).summary.resource_changes or {}
        return f"{changes.get(automation.OpType.CREATE, 0)} resources made in stack {self.name}"

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs. Secrets are in clear text: never print them whole."""
        return {name: output.value for name, output in self._stack.outputs().items()}

    def functions(self) -> dict[str, str]:
        """Folder of `functions/` → the name of the function that runs it, from the stack's state."""
        found = {}
        for resource in self._resources():
            if resource["type"] == FUNCTION:
                found[resource["outputs"]["handler"].split(".")[1]] = resource["outputs"]["name"]
        return found

    def _resources(self) -> list[dict[str, Any]]:
        deployment = self._stack.export_stack().deployment or {}
        resources: list[dict[str, Any]] = deployment.get("resources", [])
        return resources

    def destroy(self) -> str:
        """Destroys everything, with a second try for what an interrupted operation blocked."""
        try:
            self._stack.destroy(on_output=self._log)
        except automation.CommandError:
            self._unlock()
            self._stack.refresh(on_output=self._log)
            self._stack.destroy(on_output=self._log)
        left = [resource["urn"] for resource in self._resources() if resource.get("custom")]
        if left:
            raise AcceptanceError(f"stack {self.name}: expected nothing left, found {', '.join(left)}")
        self._stack.workspace.remove_stack(self.name)
        return f"stack {self.name} is gone"

    def _unlock(self) -> None:
        """Removes the lock that a killed engine left: nobody else uses this run's state."""
        try:
            self._stack.cancel()
        except automation.CommandError:
            return  # it was not locked

    def _log(self, line: str) -> None:
        with (self.folder / "pulumi.log").open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def _passphrase(folder: Path) -> str:
    """The key that encrypts the state's secrets. It is made once and kept beside the state, readable by its owner
    only."""
    path = folder / "passphrase"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def missing(find: Callable[[], Any] = automation.PulumiCommand) -> str | None:
    """Returns one line that names what the environment lacks for a run on AWS; `None` if nothing is missing."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    absent = []
    try:
        find()
    except Exception as error:
        absent.append(f"the Pulumi CLI (https://www.pulumi.com/docs/install/): {str(error).splitlines()[0]}")
    session = boto3.Session()
    if session.region_name is None:
        absent.append("a region (AWS_REGION)")
    try:
        if session.get_credentials() is None:
            absent.append("AWS credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")
        elif session.region_name is not None:
            session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        absent.append(f"AWS credentials that are valid ({error})")
    return f"missing: {'; '.join(absent)}" if absent else None
