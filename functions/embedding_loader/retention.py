"""Drops the versions that nothing keeps, and the noted events that no version or rule leaves out any longer."""

from contextlib import closing

import psycopg
from psycopg import sql

from contracts.artifacts import ManifestError, read_manifest
from contracts.dataset import Serving
from functions.shared import versions
from functions.shared.database import Connection
from functions.shared.serving import exclusions
from functions.shared.serving.graph import ModelError
from functions.shared.serving.rules_file import RulesFile
from functions.shared.serving.tower import dataset_of, serving_of

VERSIONS_KEPT = 3
"""The number of latest published versions that are kept, whichever was active."""
ACTIVE_BEFORE_KEPT = 2
"""The number of versions active before the present one that are kept: they are known to be good."""


def drop_old(connection: Connection, loaded_now: str | None = None) -> list[str]:
    """Drops the versions that nothing keeps, and returns them; never the one that was loaded in the same call.

    A version that a reader holds for longer than the lock timeout stays until the next load.
    """
    return [version for version in _droppable(connection) if version != loaded_now and _drop(connection, version)]


def forget_exclusions(connection: Connection, bucket: str) -> None:
    """Drops noted purchases and ratings that neither a loaded version leaves out any longer nor a rule; none while the
    rules cannot be read."""
    with closing(RulesFile(bucket)) as rules:
        bought_days = rules.in_force().bought_days
        if not rules.problem:
            policies = [_serving(connection, version) for version in versions.loaded(connection)]
            exclusions.forget(connection, policies, bought_days)


def _serving(connection: Connection, version: str) -> Serving:
    try:
        return serving_of(dataset_of(read_manifest(versions.manifest(connection, version))))
    except (ManifestError, ModelError):
        return Serving()  # of an earlier release: what it may leave out stays


def _droppable(connection: Connection) -> list[str]:
    return versions.droppable(connection, VERSIONS_KEPT, ACTIVE_BEFORE_KEPT)


def _drop(connection: Connection, version: str) -> bool:
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            # The pointer is locked, so that nobody switches to the version while it goes.
            connection.execute("LOCK TABLE recommender.active_version IN SHARE ROW EXCLUSIVE MODE")
            if version not in _droppable(connection):
                return False
            connection.execute("DELETE FROM recommender.model_version WHERE version = %s", (version,))
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(versions.tables(version).schema))
    except psycopg.errors.LockNotAvailable:
        return False
    return True
