"""The training data in the data lake: its folders, and the marker that lists its files."""

import json
from dataclasses import dataclass

SUCCESS_MARKER = "_SUCCESS"
"""Written last, at the top of the training data's folder; nobody reads data without it."""

QUARANTINE = "quarantine"
"""Rejected rows of a run lie in `quarantine/<run>/<role>/` as JSON lines, each with its `reason`."""

QUALITY = "quality"
"""The quality report of a run lies in `quality/<run>/` as `report.json` and `report.html`."""


def items_folder(name: str) -> str:
    """Returns the folder of the shop's catalogue, beside the training data `name`: all accepted items, rated or not."""
    return f"{name}-items"


def state_folder(name: str) -> str:
    """Returns the folder, beside the training data `name`, of the state that an incremental run compares with
    (`<run>.json`)."""
    return f"{name}-state"


@dataclass(frozen=True)
class SuccessMarker:
    """The marker's content. Replacing this one object switches readers from one run's files to the next run's."""

    run: str
    """The name of the run that wrote the marker; it is part of the names of the run's files and reports."""
    rows: int
    """The rows of training data, 0 or more: one for each accepted rating."""
    files: tuple[str, ...]
    """Paths relative to the training data's folder, for instance `customerNumber=103/part-0.snappy.parquet`."""
    items: tuple[str, ...] = ()
    """Paths relative to `items_folder`; empty in markers written before that folder existed."""

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
