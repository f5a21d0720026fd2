"""Lists, activates and pins model versions of the vector store: `python -m operations activate`.

The command calls the loader, which reaches the vector store and tries a version before it switches.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations import run_note
from operations.run_note import NoRunError

LOADER = "loader"
"""Part of the loader's name, by which it is found if no name is given."""
ACTIONS = {"versions": "status", "activate": "activate", "pin": "pin", "unpin": "unpin"}
"""Command → the loader's action."""


class VersionError(Exception):
    """The command cannot be done; the text says what was expected and what was found."""


def act(client: Any, loader: str, action: str, version: str | None = None) -> dict[str, Any]:
    """Returns the loader's answer: `active`, `loaded` and `pinned` versions. Raises `VersionError` if the loader
    fails."""
    event = {"action": action, **({"version": version} if version else {})}
    answer = client.invoke(FunctionName=loader, Payload=json.dumps(event).encode())
    told = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise VersionError(f"{loader}: {told.get('errorType')}: {told.get('errorMessage')}")
    status: dict[str, Any] = told
    return status


def find_loader(client: Any) -> str:
    """Returns the one function with `LOADER` in its name. Raises `VersionError` if there is none, or more than one."""
    pages = client.get_paginator("list_functions").paginate()
    found = [function["FunctionName"] for page in pages for function in page["Functions"]]
    loaders = [name for name in found if LOADER in name]
    if len(loaders) != 1:
        raise VersionError(f"expected one function named a {LOADER}, found {loaders or 'none'}: give --loader")
    return str(loaders[0])


def command(name: str) -> Callable[[Sequence[str]], int]:
    """Returns the command line of a name in `ACTIONS`."""
    return lambda arguments: _main(name, arguments)


def _main(name: str, arguments: Sequence[str]) -> int:
    chosen = _parser(name).parse_args(arguments)
    try:
        if chosen.run:
            os.environ.update(run_note.read(chosen.run)["environment"])
        client = boto3.Session().client("lambda")
        loader = chosen.loader or find_loader(client)
        status = act(client, loader, ACTIONS[name], getattr(chosen, "version", None))
    except (VersionError, NoRunError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(_lines(status)))
    return 0


def _lines(status: Mapping[str, Any]) -> list[str]:
    """Returns a line for each version, in the order of publication."""
    marks = {status["active"]: " active"}
    pinned = set(status["pinned"])
    lines = [f"{v}{marks.get(v, '')}{' pinned' if v in pinned else ''}" for v in status["loaded"]]
    return lines or ["no version is loaded"]


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m operations {name}", description=(__doc__ or "").splitlines()[0])
    if name != "versions":
        parser.add_argument("version", help="one that is loaded, such as 20261120T173000Z-1a2b3c")
    parser.add_argument(
        "--loader", help=f"the loader's name or ARN (default: the function with '{LOADER}' in its name)"
    )
    parser.add_argument("--run", type=Path, help="folder of a local run that is still up")
    return parser
