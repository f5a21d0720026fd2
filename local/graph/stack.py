"""Records a stack's resource graph, from its configuration and some settings on top."""

import runpy
from collections.abc import Mapping
from typing import Any

from emulator.program import ROOT, read_complete_stack
from local.graph.recorder import Graph, build


def record(name: str, settings: Mapping[str, Any] | None = None) -> Graph:
    """Runs the program as the stack `name`; `settings` are keys such as `vectors.multi_az`.

    Raises `LocalRunError` if there is no such stack, and the program's errors for a wrong setting.
    """
    # The functions' packages change nothing in the graph but the name of a zip.
    stack = read_complete_stack(name, {"common.bundle_dependencies": False, **(settings or {})})
    program = str(ROOT / "__main__.py")
    return build(lambda: runpy.run_path(program, run_name="__main__"), stack=stack.name, config=stack.config)
