"""`pulumi up` works in a virtual environment of requirements.txt and nothing else, as `pulumi install` makes it."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import yaml

from emulator.program import ROOT, read_stack
from tests.components.program import BUILD_GRAPH

RUNNER = BUILD_GRAPH + "print(len(graph.nodes), *graph.outputs)"


def test_the_program_runs_with_what_requirements_txt_names_and_nothing_else(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-compile", "--requirement", str(ROOT / "requirements.txt")], check=True)
    config = read_stack("dev", {"common.bundle_dependencies": False}).config
    command = [str(python), "-c", RUNNER, json.dumps(dict(config))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    count, *outputs = run.stdout.split()
    assert int(count) > 100
    assert "glue_job_name" in outputs


def test_the_engines_python_host_runs_nothing_but_the_program() -> None:
    # `typechecker: mypy` checks the whole project folder (pulumi-language-python), not the program, and with no more
    # packages than the program's.
    options = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["runtime"]["options"]
    assert options == {"toolchain": "pip", "virtualenv": ".venv"}
    assert sys.version_info >= (3, 11)
