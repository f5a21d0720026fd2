"""The training data in the data lake: where it lies, and the marker that says which files make it up."""

import json
from dataclasses import dataclass

SUCCESS_MARKER = "_SUCCESS"
"""Written last, at the top of the training data's folder; nobody reads data without it."""

QUARANTINE = "quarantine"
"""Rejected rows of a run lie in `quarantine/<run>/<role>/` as JSON lines, each with its `reason`."""

QUALITY = "quality"
"""The quality report of a run lies in `quality/<run>/` as `report.json` and `report.html`."""


def items_folder(name: str) -> str:
    """Beside the training data `name`: all accepted items, with or without a rating; the catalogue of the shop."""
    return f"{name}-items"


def state_folder(name: str) -> str:
    """Beside the training data `name`: what the next incremental run compares with, as `<run>.json`."""
    return f"{name}-state"


@dataclass(frozen=True)
class SuccessMarker:
    """The marker's content: one object whose replacement switches readers from one run's files to the next's.

    `files` are paths relative to the training data's folder, for instance `customerNumber=103/part-0.snappy.parquet`;
    `items` are relative to `items_folder`, and empty in markers of before there was one.
    """

    run: str
    rows: int
    files: tuple[str, ...]
    items: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps({"run": self.run, "rows": self.rows, "files": list(self.files), "items": list(self.items)})


def read_marker(text: str) -> SuccessMarker:
    """Reads a marker's content. Raises `ValueError` where it is not one."""
    try:
        document = json.loads(text)
        files, items = (tuple(map(str, paths)) for paths in (document["files"], document.get("items", ())))
        return SuccessMarker(str(document["run"]), int(document["rows"]), files, items)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{SUCCESS_MARKER}: expected JSON with run, rows and files, found {text[:80]!r}: run the ETL job again"
        ) from error
