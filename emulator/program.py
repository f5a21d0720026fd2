"""Runs the project's Pulumi program in this process, under a monitor that answers for the engine."""

import asyncio
import json
import os
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

# Otherwise an f-string over an Output would silently put a placeholder into a resource's input.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"

import pulumi
import pulumi.runtime
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor, Mocks, set_mocks
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import wait_for_rpcs

from emulator.errors import LocalRunError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stack:
    """A stack's name and its configuration: full keys (`recommender:shards`) → the texts that Pulumi would pass."""

    name: str
    config: Mapping[str, str]
    project: str = "recommender"


def read_stack(name: str, overrides: Mapping[str, Any] | None = None) -> Stack:
    """Reads `Pulumi.<name>.yaml`; `overrides` set keys such as `common.bundle_dependencies` on top.

    Raises `LocalRunError` if there is no such stack, or if it holds a secret, which only Pulumi can decrypt.
    """
    path = ROOT / f"Pulumi.{name}.yaml"
    if not path.is_file():
        found = ", ".join(sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml")))
        raise LocalRunError(f"stack {name}: expected {path.name}, found stacks {found}")
    config = yaml.safe_load(path.read_text())["config"]
    for path_, value in (overrides or {}).items():
        key, *inner = f"recommender:{path_}".split(".")
        if inner:
            config.setdefault(key, {})[inner[0]] = value
        else:
            config[key] = value
    return Stack(name, {key: _config_text(key, value) for key, value in config.items()})


EXISTING_SOURCE = {
    "source.host": "mysql.example.internal",
    "source.username": "reader",
    "source.password": "of the existing database",
}
"""Values in the place of those that only a stack's owner knows: address and login of the shop's MySQL."""


def read_complete_stack(name: str, overrides: Mapping[str, Any] | None = None) -> Stack:
    """Reads a stack like `read_stack`, and adds an example source if the stack, like prod as shipped, names none
    yet."""
    given = overrides or {}
    is_said = "recommender:source" in read_stack(name).config or "source.trial" in given
    return read_stack(name, given if is_said else {**EXISTING_SOURCE, **given})


def _config_text(key: str, value: Any) -> str:
    if isinstance(value, dict) and any(entry == "secure" for entry in [*value, *_inner_keys(value)]):
        raise LocalRunError(f"{key}: an encrypted value, which the local run cannot read: set it on the command line")
    return value if isinstance(value, str) else json.dumps(value)


def _inner_keys(value: Mapping[str, Any]) -> list[str]:
    return [key for inner in value.values() if isinstance(inner, dict) for key in inner]


class StackOutput(NamedTuple):
    """An output of a stack; the value is the one that the engine gets (secrets wrapped)."""

    value: Any
    is_secret: bool
    is_known: bool


def run_program(mocks: Mocks, monitor: MockMonitor, stack: Stack) -> dict[str, Any]:
    """Runs `__main__.py` until every resource is registered, and returns the stack's outputs, secrets unwrapped.

    Raises the errors of the program and the monitor.
    """

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    outputs = run(program, mocks, monitor, stack)
    return {name: rpc.unwrap_rpc_secret(output.value) for name, output in outputs.items()}


def run(
    program: Callable[[], object], mocks: Mocks, monitor: MockMonitor, stack: Stack, *, preview: bool = False
) -> dict[str, StackOutput]:
    """Runs a function that makes resources, in an event loop of its own. No task is left, not even after a failure."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_report)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_run(program, mocks, monitor, stack, preview))
    finally:
        while pending := asyncio.all_tasks(loop):  # a cancelled task may have started another
            for task in pending:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
        set_root_resource(None)  # type: ignore[arg-type]  # the next program registers a stack of its own


def unwrap(value: Any) -> Any:
    """Takes secrets out of their wrappings, at every depth."""
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, dict):
        return {key: unwrap(entry) for key, entry in value.items()}
    return [unwrap(entry) for entry in value] if isinstance(value, list) else value


class _UncalledHooks:
    """Takes the program's resource hooks, which only the engine calls."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        pass


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drops the errors of a failed resource's dependents, which repeat the first error on a page each."""
    if not context["message"].endswith("was never retrieved"):
        loop.default_exception_handler(context)


async def _run(
    program: Callable[[], object], mocks: Mocks, monitor: MockMonitor, stack: Stack, preview: bool
) -> dict[str, StackOutput]:
    SETTINGS.outputs.clear()
    pulumi.runtime.set_all_config(dict(stack.config))
    set_mocks(mocks, project=stack.project, stack=stack.name, preview=preview, monitor=monitor)
    # The SDK would start a gRPC server for hooks, and gRPC complains on the screen of each fork beside its threads.
    SETTINGS.callbacks = cast("Any", _UncalledHooks())
    try:
        program()
        await wait_for_rpcs()
    finally:
        SETTINGS.callbacks = None
    root = pulumi.runtime.get_root_resource()
    assert root is not None
    outputs = {}
    for name, value in root.outputs.items():  # type: ignore[attr-defined]
        output = pulumi.Output.from_input(value)
        outputs[name] = StackOutput(await output.future(), await output.is_secret(), await output.is_known())
    return outputs
