"""Lambda: takes events over HTTP, behind API Gateway, and puts them on the event stream."""

from typing import Any

from functions.event_intake.intake import Intake
from functions.shared import environment
from functions.shared.aws_client import aws_client
from functions.shared.deadline import Deadline
from functions.shared.http.answers import answer
from functions.shared.http.requests import body_bytes
from functions.shared.telemetry import count, logger_of, metrics_of, timed

FUNCTION = "event_intake"
MARGIN_SECONDS = 2.0
PUT_SECONDS = 8.0
"""The most that a producer waits while the stream is busy."""

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_intake: Intake | None = None


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes API Gateway's request (payload format 2.0) and returns the response of contracts/api.json."""
    with timed(metrics, "Request"):
        intake = _warm()
        intake.begin()
        deadline = Deadline.of(context, MARGIN_SECONDS, at_most=PUT_SECONDS)
        _, response = answer(event, {"postEvents": lambda _: intake.take(body_bytes(event), deadline)})
    _measure(response["statusCode"], intake)
    return response


def _warm() -> Intake:
    global _intake
    if _intake is None:
        _intake = Intake(environment.event_stream(), aws_client("kinesis", connect_seconds=2, read_seconds=5))
    return _intake


def _measure(status: int, intake: Intake) -> None:
    count(metrics, "EventsTaken", intake.statuses[202])
    count(metrics, "EventsRefused", intake.statuses[400])
    count(metrics, "EventsNotPut", intake.statuses[503])
    fields = {"status": status, "events": dict(intake.statuses), "problem": intake.problem}
    (logger.warning if intake.problem else logger.info)("answered", extra=fields)
