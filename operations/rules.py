"""Puts, shows and lists the rules that change every list: `python -m operations rules put FILE`.

The functions ask for the file every few seconds, so that what is put is in force without a deployment. Each file that
was put stays beside it: `show --version` prints an earlier one, and putting that again takes a change back.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contracts.rules import RULES_FILE, RULES_VERSION, RULES_VERSIONS, RulesError, read_rules
from operations import run_note
from operations.run_note import NoRunError

JSON = "application/json"
MISSING = ("NoSuchKey", "404")


class NoRulesError(Exception):
    """There are no such rules; the text says what was expected."""


def put(client: Any, bucket: str, content: bytes, source: str) -> str:
    """Checks the rules, keeps them as a version, and puts them in force. Returns the version's name.

    Raises `RulesError` with every mistake: then nothing is written.
    """
    read_rules(content, source)
    version = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{hashlib.sha256(content).hexdigest()[:6]}"
    metadata = {RULES_VERSION: version}
    for key in (f"{RULES_VERSIONS}{version}.json", RULES_FILE):
        client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=JSON, Metadata=metadata)
    return version


def show(client: Any, bucket: str, version: str | None = None) -> str:
    """Returns the text of the rules in force, or of a version. Raises `NoRulesError`."""
    key = f"{RULES_VERSIONS}{version}.json" if version else RULES_FILE
    try:
        text: str = client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except ClientError as error:
        if error.response["Error"]["Code"] not in MISSING:
            raise
        what = f"the rules' version {version}" if version else "rules"
        raise NoRulesError(f"s3://{bucket}/{key}: expected {what}, found none: rules put FILE writes them") from error
    return text


def history(client: Any, bucket: str) -> list[str]:
    """Returns the versions that were put, the first one first."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RULES_VERSIONS)
    keys = sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))
    return [key.removeprefix(RULES_VERSIONS).removesuffix(".json") for key in keys]


def in_force(client: Any, bucket: str) -> str | None:
    """Returns the version of the file in force; `None` where there is no file, or `put` did not put it."""
    try:
        version: str | None = client.head_object(Bucket=bucket, Key=RULES_FILE)["Metadata"].get(RULES_VERSION)
    except ClientError as error:
        if error.response["Error"]["Code"] not in MISSING:
            raise
        return None
    return version


def main(arguments: Sequence[str]) -> int:
    """Returns the command's exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        bucket = chosen.bucket
        if chosen.run:
            note = run_note.read(chosen.run)
            os.environ.update(note["environment"])
            bucket = note["artifacts_bucket"]
        print(_act(chosen, boto3.Session().client("s3"), bucket))
    except (RulesError, NoRulesError, NoRunError, OSError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _act(chosen: argparse.Namespace, client: Any, bucket: str) -> str:
    if chosen.action == "put":
        return f"{put(client, bucket, chosen.file.read_bytes(), str(chosen.file))} is in force within seconds"
    if chosen.action == "show":
        return show(client, bucket, chosen.version)
    now = in_force(client, bucket)
    lines = [f"{version}{' in force' if version == now else ''}" for version in history(client, bucket)]
    return "\n".join(lines) or "no rules were put"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations rules", description=(__doc__ or "").splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for name, told in (
        ("put", "check a file, and put it in force"),
        ("show", "print the rules in force"),
        ("history", "list the versions that were put"),
    ):
        action = actions.add_parser(name, help=told)
        where = action.add_mutually_exclusive_group(required=True)
        where.add_argument("--bucket", help="the bucket of ML artifacts: `pulumi stack output ml_artifacts_bucket`")
        where.add_argument("--run", type=Path, help="folder of a local run that is still up")
        if name == "put":
            action.add_argument("file", type=Path, help="the rules as JSON (docs/rules.md)")
        if name == "show":
            action.add_argument("--version", help="one that history lists")
    return parser
