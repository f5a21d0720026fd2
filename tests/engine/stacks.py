"""A stack of this program under the real engine, with its state in a folder of the test's."""

import json
import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from emulator.program import ROOT, read_stack
from tests.engine import cli
from tests.engine.cloud import Cloud
from tests.engine.provider import serving

PASSPHRASE = "the state's passphrase"

SOURCE_PASSWORD = "the-shop-reader's-password"
OWN_SETTINGS: dict[str, dict[str, Any]] = {"prod": {"source.host": "mysql.shop.internal", "source.username": "reader"}}
"""Settings that a team adds to the file; for prod its own MySQL. The password comes by `pulumi config set --secret`."""


def main() -> None:
    """The program, as the engine's language host runs it."""
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


@dataclass(frozen=True)
class Change:
    """A step that a preview announces."""

    operation: str
    """`create`, `update`, `replace`, `delete`, …"""
    type: str
    name: str


class EngineStack:
    """One stack; what it does goes to `cloud`."""

    def __init__(self, name: str, settings_of: str, folder: Path, cloud: Cloud, program: Callable[[], None]) -> None:
        self.cloud = cloud
        self.folder = folder
        self._name = name
        self._settings_of = settings_of
        command = cli.find()
        assert command is not None
        environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        for inner in ("bin", "home", "state", "work"):
            (folder / inner).mkdir()
        workspace = automation.LocalWorkspace(
            work_dir=str(folder / "work"),
            program=program,
            env_vars=environment,
            pulumi_command=command,
            project_settings=automation.ProjectSettings(name="recommender", runtime="python"),
        )
        self._write({}, {})
        self._stack = automation.Stack.create_or_select(name, workspace)
        self.configure({})

    @property
    def program(self) -> Callable[[], None]:
        return self._stack.workspace.program  # type: ignore[return-value]

    @program.setter
    def program(self, program: Callable[[], None]) -> None:
        self._stack.workspace.program = program

    def configure(self, settings: Mapping[str, Any], config: Mapping[str, str] | None = None) -> None:
        """Takes the settings of `Pulumi.<stack>.yaml`, with others such as `stream.shards` on top, and other config."""
        self._write(settings, config or {})
        if "source.host" in OWN_SETTINGS.get(self._settings_of, {}):
            password = automation.ConfigValue(SOURCE_PASSWORD, secret=True)
            self._stack.set_config("recommender:source.password", password, path=True)

    def _write(self, settings: Mapping[str, Any], config: Mapping[str, str]) -> None:
        own = OWN_SETTINGS.get(self._settings_of, {})
        overrides = {"common.bundle_dependencies": False, **own, **settings}
        path = self.folder / "work" / f"Pulumi.{self._name}.yaml"
        content = yaml.safe_load(path.read_text()) if path.exists() else {}
        texts = {**read_stack(self._settings_of, overrides).config, **config}
        content["config"] = {key: _value(text) for key, text in texts.items()}
        path.write_text(yaml.safe_dump(content))

    def preview(self, **options: Any) -> list[Change]:
        """Returns the changes that `up` would make. Raises `CommandError` if the engine or the program refuses."""
        changes: list[Change] = []

        def note(event: automation.EngineEvent) -> None:
            if event.resource_pre_event is not None:
                step = event.resource_pre_event.metadata
                if step.op not in ("same", "read") and not step.type.startswith("pulumi:"):
                    changes.append(Change(step.op.value, step.type, step.urn.split("::")[3]))

        self._stack.preview(on_event=note, **options)
        return changes

    def up(self, **options: Any) -> automation.UpResult:
        return self._stack.up(**options)

    def refresh(self) -> automation.RefreshResult:
        return self._stack.refresh()

    def destroy(self) -> None:
        """Destroys as a person types it, with the preview, which refuses protected resources; the Automation API has
        none."""
        self.command("destroy", "--yes")

    def command(self, *arguments: str) -> None:
        """Runs `pulumi <arguments>` on this stack."""
        workspace = self._stack.workspace
        workspace.pulumi_command.run([*arguments, "--stack", self._name], workspace.work_dir, dict(workspace.env_vars))

    def outputs(self) -> automation.OutputMap:
        return self._stack.outputs()

    def state_files(self) -> str:
        """Everything that the backend keeps, as one text."""
        files = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)


def _value(text: str) -> Any:
    """An object as an object, so that a path in it can be set."""
    return json.loads(text) if text.startswith("{") else text


@contextmanager
def running(
    folder: Path, settings_of: str, name: str | None = None, program: Callable[[], None] = main
) -> Iterator[EngineStack]:
    cloud = Cloud()
    stack = EngineStack(name or settings_of, settings_of, folder, cloud, program)
    with serving(cloud, folder / "bin"):
        yield stack
