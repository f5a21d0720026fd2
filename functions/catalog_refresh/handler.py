"""Lambda: on a schedule, brings the served model versions up to the shop's items, without training."""

from dataclasses import asdict
from typing import Any

from contracts.metrics import CATALOG_REFRESHES
from functions.catalog_refresh import login
from functions.catalog_refresh.refresh import Report, refresh
from functions.shared import environment, loader_lock
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import KeptConnection
from functions.shared.deadline import Deadline
from functions.shared.s3 import S3Reader
from functions.shared.telemetry import count, logger_of, metrics_of, timed

FUNCTION = "catalog_refresh"
MARGIN_SECONDS = 30.0
"""Seconds of the function's time that are kept for the portion of rows in hand, and to report."""
LOADING = "a model version is being loaded"

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)


class RefreshError(RuntimeError):
    """Some versions could not be refreshed; the text has a line for each. Others were."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: Any) -> dict[str, Any]:
    """Refreshes the active version and those published after it, and returns what was written (`refresh.Report`).

    The event, EventBridge's "Scheduled Event", says nothing that is needed. While a version is loaded it does nothing.
    """
    settings, login_uri = environment.storage(), environment.source_login_uri()
    deadline = Deadline.of(context, MARGIN_SECONDS)
    kept = KeptConnection(settings.database, statement_timeout=deadline.left())
    try:
        connection = kept.get(deadline.at)
        with loader_lock.unless_taken(connection) as is_mine:
            if not is_mine:
                logger.info("skipped", extra={"reason": LOADING})
                return {"skipped": LOADING}
            with timed(metrics, "Refresh"):
                source = login.fetch(login_uri, S3Reader())
                report = refresh(connection, ArtifactBucket(settings.artifacts_bucket), source, deadline)
    finally:
        kept.drop()
    _tell(report)
    if report.problems:
        raise RefreshError("\n".join(report.problems))
    return asdict(report)


def _tell(report: Report) -> None:
    logger.info("refreshed", extra=asdict(report))
    count(metrics, "ItemsAdded", sum(counts["added"] for counts in report.versions.values()))
    count(metrics, "RowsRefused", sum(report.refused.values()))
    count(metrics, CATALOG_REFRESHES, int(report.complete and not report.problems))
