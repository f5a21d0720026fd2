"""The whole program as a graph of its resources, and what the provider takes."""

import importlib
import inspect
import re
import runpy
from collections.abc import Collection, Mapping
from typing import Any

from emulator.program import ROOT, read_complete_stack
from local.graph.recorder import Graph, build

STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
BUILD_GRAPH = """
import json, runpy, sys
sys.path.insert(0, ".")
from local.graph.recorder import build
graph = build(lambda: runpy.run_path("__main__.py", run_name="__main__"), stack="dev", config=json.loads(sys.argv[1]))
"""
"""For a Python of its own: imports only the recorder of the project's tools, which needs Pulumi's SDK alone."""
TRIAL = {"source.trial": True}


def program_graph(stack: str, *, preview: bool = False, overrides: Mapping[str, Any] | None = None) -> Graph:
    config = read_complete_stack(stack, {"common.bundle_dependencies": False, **(overrides or {})}).config
    return build(run_main, stack=stack, config=config, preview=preview)


def run_main() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def parameters(type_: str) -> Collection[str]:
    """The inputs that the provider's resource of this type takes."""
    match = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", type_)
    if match is None:
        return ()
    module = importlib.import_module(f"pulumi_aws.{'lambda_' if match[1] == 'lambda' else match[1]}")
    return inspect.signature(getattr(module, match[2])._internal_init).parameters
