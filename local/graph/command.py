"""The command line. `python -m local graph` prints a stack's resources, and draws them."""

import runpy
from pathlib import Path

from emulator.errors import LocalRunError
from emulator.program import ROOT, read_complete_stack
from local.graph.recorder import build
from local.graph.render import as_svg, as_text
from local.options import Parser


def main(arguments: list[str]) -> int:
    """Prints the graph of a stack as text, and writes it as SVG if `--svg` names a file."""
    parser = Parser(prog="python -m local graph", description=main.__doc__)
    parser.add_argument("--stack", default="dev", help="which Pulumi.<stack>.yaml to draw (default: dev)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where to write the picture")
    options = parser.parse_args(arguments)
    stack = read_complete_stack(options.stack, {"common.bundle_dependencies": False})
    if options.svg:
        _check_writable(options.svg)
    program = str(ROOT / "__main__.py")
    graph = build(lambda: runpy.run_path(program, run_name="__main__"), stack=stack.name, config=stack.config)
    print(as_text(graph))
    if options.svg:
        options.svg.write_text(as_svg(graph, f"recommender, stack {stack.name}"), encoding="utf-8")
    return 0


def _check_writable(path: Path) -> None:
    """Raises `LocalRunError` for a file that cannot be written, before the program runs, which takes seconds."""
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise LocalRunError(f"--svg {path}: cannot be written: {error.strerror}") from None
