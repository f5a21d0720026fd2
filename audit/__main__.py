"""The command of `make audit`: checkov on both stacks, bandit on the code, pip-audit on the packages.

A failing check is mended, or listed with its reason in `audit/accepted.toml`. The exit status is 0 only if everything
was checked and nothing is open.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audit import scanners
from audit.findings import Finding, accepted, open_findings, unused
from audit.scanners import NotCheckedError

STACKS = ("dev", "prod")


def main(arguments: list[str] | None = None) -> int:
    """Prints open findings. Returns 1 if there are any, 2 if something could not be checked."""
    parser = argparse.ArgumentParser(prog="python -m audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tools", type=Path, default=Path(".venv-audit/bin"), help="where the scanners are")
    parser.add_argument("--offline", action="store_true", help="without pip-audit, which asks pypi.org")
    options = parser.parse_args(arguments)
    tools = options.tools.resolve()
    runs: dict[str, Callable[[], list[Finding]]] = {
        **{f"checkov {stack}": partial(scanners.checkov, tools, stack) for stack in STACKS},
        "bandit": partial(scanners.bandit, tools),
    }
    if not options.offline:
        runs["pip-audit"] = partial(scanners.pip_audit, tools)
    exceptions, findings, not_checked, is_open = accepted(), [], False, False
    for name, run in runs.items():
        try:
            found = run()
        except NotCheckedError as error:
            print(f"{name}: NOT CHECKED: {error}")
            not_checked = True
            continue
        left = open_findings(found, exceptions)
        print(f"{name}: {len(left)} open, {len(found) - len(left)} accepted")
        for finding in left:
            print(f"  {finding}")
        findings += found
        is_open = is_open or bool(left)
    for entry in unused(findings, exceptions):
        print(f"accepted.toml: nothing needs this any more: {entry}")
    if options.offline:
        print("pip-audit: not run (--offline)")
    return 2 if not_checked else int(is_open)


if __name__ == "__main__":
    sys.exit(main())
