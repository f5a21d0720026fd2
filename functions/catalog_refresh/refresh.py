"""Brings the served versions up to the source: one read of the shop's items for all of them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import psycopg

from contracts.artifacts import Manifest, read_manifest
from contracts.dataset import Dataset
from contracts.mysql import Login
from functions.catalog_refresh.login import connected
from functions.catalog_refresh.source import SourceItems
from functions.catalog_refresh.version_items import TOWER_ERRORS, VanishedError, VersionItems
from functions.shared import vectors, versions
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import Connection
from functions.shared.deadline import Deadline
from functions.shared.serving.tower import dataset_of

VERSION_ERRORS = (*TOWER_ERRORS, VanishedError, psycopg.Error)
"""Errors that concern one version: the others are refreshed."""

NO_DATASET = "its manifest has no dataset specification, so nothing says where its items are"


@dataclass
class Report:
    """The outcome of a refresh."""

    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    """Version → `version_items.Counts`."""
    rows: int = 0
    """Rows of the source, refused ones among them."""
    refused: dict[str, int] = field(default_factory=dict)
    """Reason → rows that were refused for it."""
    refused_keys: list[str] = field(default_factory=list)
    """The first refused rows: key and reason."""
    unread: dict[str, str] = field(default_factory=dict)
    """Version → the reason why it has no source to be refreshed from."""
    problems: list[str] = field(default_factory=list)
    """Versions that could not be refreshed, and why."""
    complete: bool = True
    """False where the time was up before all rows were read: the next refresh finds what this one wrote."""


def refresh(connection: Connection, bucket: ArtifactBucket, login: Login, deadline: Deadline) -> Report:
    """Refreshes the active version and those published after it. Raises `SourceError` and psycopg's connection
    errors."""
    report = Report()
    groups = _by_source(_with_dataset(connection, report))
    if groups:
        vectors.register(connection)
        with connected(login) as source:
            for group in groups:
                if report.complete:
                    _refresh_group(connection, bucket, SourceItems(source, group[0][1]), group, deadline, report)
    return report


def _with_dataset(connection: Connection, report: Report) -> Iterator[tuple[Manifest, Dataset]]:
    for version, text in versions.served_next(connection):
        try:
            manifest = read_manifest(text)
            dataset = dataset_of(manifest)
        except VERSION_ERRORS as error:
            report.problems.append(f"{version}: {error}")
            continue
        if dataset is None:
            report.unread[version] = NO_DATASET
        else:
            yield manifest, dataset


def _by_source(found: Iterator[tuple[Manifest, Dataset]]) -> list[list[tuple[Manifest, Dataset]]]:
    """Groups versions whose items are read by the same specification: usually all of them."""
    groups: dict[str, list[tuple[Manifest, Dataset]]] = {}
    for manifest, dataset in found:
        groups.setdefault(json.dumps(dataset.to_dict()["items"]), []).append((manifest, dataset))
    return list(groups.values())


def _refresh_group(
    connection: Connection,
    bucket: ArtifactBucket,
    source: SourceItems,
    group: Sequence[tuple[Manifest, Dataset]],
    deadline: Deadline,
    report: Report,
) -> None:
    """Refreshes versions of one specification, in one read of its rows."""
    at_work = {
        manifest.version: VersionItems(connection, bucket, manifest, dataset.quality.min_rows)
        for manifest, dataset in group
    }
    all_of_them = dict(at_work)
    _each(at_work, report, VersionItems.prepare)
    for rows in source.chunks() if at_work else ():
        if time.monotonic() >= deadline.at:
            report.complete = False
            break
        _each(at_work, report, partial(VersionItems.refresh, source=source, rows=rows))
    else:
        _each(at_work, report, partial(VersionItems.vanish, seen=source.seen))
    for version, items in all_of_them.items():
        report.versions[version] = asdict(items.counts)
        if items.tower_problem:
            report.problems.append(f"{version}: {items.tower_problem}")
    report.rows += source.rows
    for reason, number in source.refused.counts.items():
        report.refused[reason] = report.refused.get(reason, 0) + number
    report.refused_keys += source.refused.keys


def _each(at_work: dict[str, VersionItems], report: Report, work: Callable[[VersionItems], None]) -> None:
    """Does the work for each version; one that fails is reported, and left out from then on."""
    for version, items in list(at_work.items()):
        try:
            work(items)
        except psycopg.OperationalError:  # the connection, or the time: no version can be gone on with
            raise
        except VERSION_ERRORS as error:
            report.problems.append(f"{version}: {error}")
            del at_work[version]
