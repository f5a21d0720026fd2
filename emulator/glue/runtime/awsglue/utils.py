"""Resolves job arguments, as `awsglue.utils` does."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class GlueArgumentError(ValueError):
    """A job argument that is missing or has no value."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, Any]:  # noqa: N802
    """Returns the value of `--<option>` for each option; all are required, and other arguments are skipped.

    As in Glue, a dash in an option's name becomes an underscore in the result. Raises `GlueArgumentError`.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in dict.fromkeys(options):
        parser.add_argument(f"--{option}", required=True)
    known, _ = parser.parse_known_args(list(args)[1:])
    return vars(known)
