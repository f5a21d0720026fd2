"""Lambda: loads the model version whose manifest arrived, or switches to a loaded one by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.artifacts import MANIFEST, ManifestError, read_manifest, version_moment
from functions.embedding_loader import iam_user, load, retention, trial, version_check
from functions.shared import environment, loader_lock, versions
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import Connection, KeptConnection
from functions.shared.deadline import Deadline
from functions.shared.serving.requests import storable
from functions.shared.telemetry import MetricUnit, logger_of, metrics_of

FUNCTION = "embedding_loader"
MARGIN_SECONDS = 10.0
"""Seconds of the function's time that are kept to report what happened."""
CLOCK_SKEW = timedelta(minutes=15)
"""The most that the publisher's clock may be ahead of this one."""

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)


class EventError(ValueError):
    """The event is neither an arrived manifest nor a known action; the text says what was expected."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Activates, pins or unpins a loaded version (`{"action": …, "version": …}`), reports (`{"action": "status"}`), or
    loads the version of S3's "Object Created" event.

    `{"action": "grant_iam", "user": …, "master_user": …, "master_password": …}` comes once, from the deployment.
    """
    if not isinstance(event, dict):
        raise EventError(f"expected an object, found {type(event).__name__}")
    settings = environment.storage()
    if event.get("action") == "grant_iam":
        return _grant_iam(event, settings.database)
    deadline = Deadline.of(context, MARGIN_SECONDS)
    kept = KeptConnection(settings.database, statement_timeout=deadline.left())
    try:
        if "action" in event:
            metrics.add_metric("Actions", MetricUnit.Count, 1)
            return _act(event, kept.get(deadline.at), ArtifactBucket(settings.artifacts_bucket))
        return _load(_version(event, settings.artifacts_bucket), settings, kept, deadline)
    finally:
        kept.drop()


def _grant_iam(event: dict[str, Any], database: environment.Database) -> dict[str, Any]:
    needed = ("user", "master_user", "master_password")
    if missing := [key for key in needed if not isinstance(event.get(key), str)]:
        raise EventError(f"grant_iam: expected {', '.join(needed)} as texts, {', '.join(missing)} missing or no text")
    iam_user.grant(database, event["user"], event["master_user"], event["master_password"])
    logger.info("user may log in by IAM", extra={"user": event["user"]})
    return {"user": event["user"]}


def _act(event: dict[str, Any], connection: Connection, bucket: ArtifactBucket) -> dict[str, Any]:
    action, version = event["action"], str(event.get("version"))
    if not storable(version):
        raise EventError("version: expected one such as 20261120T173000Z-1a2b3c")
    load.prepare(connection)
    if action == "activate":
        trial.try_version(connection, bucket, read_manifest(versions.manifest(connection, version)))
        versions.switch(connection, version)
        logger.info("switched", extra={"version": version})
    elif action in ("pin", "unpin"):
        versions.pin(connection, version, action == "pin")
    elif action != "status":
        raise EventError(f"action: expected 'activate', 'pin', 'unpin' or 'status', found {action!r}")
    return _status(connection)


def _status(connection: Connection) -> dict[str, Any]:
    loaded = versions.loaded(connection)
    active = versions.active(connection)[0] if loaded else None
    return {"active": active, "loaded": loaded, "pinned": versions.pinned(connection)}


def _version(event: dict[str, Any], bucket: str) -> str:
    try:
        found, key = event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]
    except (KeyError, TypeError):
        raise EventError(f"expected an action or S3's 'Object Created' event, found the keys {list(event)}") from None
    version, _, name = str(key).rpartition("/")
    if found != bucket or name != MANIFEST:
        raise EventError(f"expected <version>/{MANIFEST} in {bucket}, found {key!r} in {found!r}")
    try:
        version_moment(version)
    except ValueError as error:
        raise EventError(str(error)) from error
    return version


def _refuse_the_future(version: str) -> None:
    moment, now = version_moment(version), datetime.now(UTC)
    if moment > now + CLOCK_SKEW:
        raise ManifestError(f"version {version}: expected one made by now, {now:%Y%m%dT%H%M%SZ}: see to the clock")


def _load(version: str, settings: environment.Storage, kept: KeptConnection, deadline: Deadline) -> dict[str, Any]:
    connection = kept.get(deadline.at)
    load.prepare(connection)
    if version in versions.loaded(connection):
        logger.info("version is loaded already", extra={"version": version})
        return {"loaded_now": False, **_status(connection)}
    bucket = ArtifactBucket(settings.artifacts_bucket)
    published = bucket.published(version)
    manifest = published.manifest
    _refuse_the_future(version)
    version_check.check(bucket, manifest)
    connection = kept.get(deadline.at)
    # So that the server ends what it does for this function soon after the function itself was killed.
    connection.execute("SET client_connection_check_interval = '5s'")
    with loader_lock.one_at_a_time(connection):
        if version in versions.loaded(connection):
            return {"loaded_now": False, **_status(connection)}
        stages = load.load(connection, bucket, published)
        dropped = retention.drop_old(connection, loaded_now=version)
        retention.forget_exclusions(connection, bucket.name)
        status = _status(connection)
    metrics.add_metric("VersionsLoaded", MetricUnit.Count, 1)
    metrics.add_metric("LoadMilliseconds", MetricUnit.Milliseconds, 1000 * sum(stages.values()))
    counts = {"items": manifest.n_items, "users": manifest.n_users}
    logger.info("loaded", extra={"version": version, "stages": stages, "dropped": dropped, **counts, **status})
    return {"loaded_now": True, "stages": stages, "dropped": dropped, **counts, **status}
