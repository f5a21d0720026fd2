"""Lambda: recommendations, similar and popular items over HTTP, behind API Gateway."""

import gc
import json
from typing import Any

from contracts.metrics import ANSWERS_FROM_MEMORY
from functions.recommendation_api.service import Memory, Service
from functions.shared import environment
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import KeptConnection
from functions.shared.deadline import Deadline
from functions.shared.http.answers import answer
from functions.shared.serving import connections
from functions.shared.serving.inference import Inference
from functions.shared.telemetry import count, logger_of, metrics_of, timed

FUNCTION = "recommendation_api"
MARGIN_SECONDS = 1.0
DATABASE_SECONDS = 3.0
"""The most that a request waits for the database: a page does not wait longer for its recommendations."""
STATEMENT_SECONDS, CONNECT_SECONDS = 2.0, 2
"""The most seconds of one statement, and of one try to connect (libpq takes no less than 2 seconds: PostgreSQL,
`connect_timeout`)."""

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_inference: Inference | None = None
_memory = Memory()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes API Gateway's request (payload format 2.0) and returns the response of contracts/api.json."""
    with timed(metrics, "Request"):
        inference = _warm()
        service = Service(inference, _memory, Deadline.of(context, MARGIN_SECONDS, at_most=DATABASE_SECONDS))
        operation, response = answer(
            event,
            {
                "getRecommendations": service.recommend,
                "postRecommendations": service.recommend,
                "getSimilarItems": service.similar,
                "getPopularItems": service.popular,
                "getHealth": service.health,
            },
        )
    _measure(operation, response, service)
    inference.rules.report(logger, metrics)
    if inference.fallback is not None and response["statusCode"] == 200 and not service.from_memory:
        inference.fallback.report(logger, metrics, json.loads(response["body"])["model_version"])
    return response


def _warm() -> Inference:
    """Returns the state that is kept over invocations, made at the first one as in model_inference."""
    global _inference
    if _inference is None:
        settings = environment.storage()
        connection = KeptConnection(
            settings.database,
            statement_timeout=STATEMENT_SECONDS,
            connect_timeout=CONNECT_SECONDS,
            prepare=connections.prepare,
        )
        _inference = Inference(connection, ArtifactBucket(settings.artifacts_bucket))
        gc.freeze()
    return _inference


def _measure(operation: str, response: dict[str, Any], service: Service) -> None:
    count(metrics, ANSWERS_FROM_MEMORY, int(service.from_memory))
    count(metrics, f"Answers{response['statusCode'] // 100}xx", 1)
    fields = {"operation": operation, "status": response["statusCode"], "from_memory": service.from_memory}
    logger.info("answered", extra=fields)
