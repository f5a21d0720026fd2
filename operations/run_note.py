"""The note by which commands find a local run that is up: `--run FOLDER`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUN_NOTE = "replay.json"
"""The note's name in the run's folder."""


class NoRunError(Exception):
    """No local run is up in the folder; the text says what was expected and what was found."""


@contextmanager
def noted_run(
    folder: Path,
    environment: Mapping[str, str],
    bucket: str,
    stream: str,
    api_url: str = "",
    artifacts_bucket: str = "",
) -> Iterator[None]:
    """Notes in the run's folder, while a local run is up, how `--run` reaches it. Only its owner can read the note."""
    note = {
        "environment": dict(environment),
        "bucket": bucket,
        "stream": stream,
        "api_url": api_url,
        "artifacts_bucket": artifacts_bucket,
    }
    path = folder / RUN_NOTE
    path.touch(mode=0o600)
    path.write_text(json.dumps(note))
    try:
        yield
    finally:
        path.unlink()


def read(folder: Path) -> dict[str, Any]:
    """Returns the note: `environment` (AWS's variables), `bucket`, `stream` and `api_url`. Raises `NoRunError`."""
    path = folder / RUN_NOTE
    try:
        note: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NoRunError(f"{path}: expected the note of a local run that is up, found none ({error})") from error
    return note
