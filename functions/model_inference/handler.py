"""Lambda: recommendations for a batch of requests."""

import gc
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from functions.shared import environment
from functions.shared.artifact_bucket import ArtifactBucket
from functions.shared.database import KeptConnection
from functions.shared.deadline import Deadline
from functions.shared.limits import PAYLOAD_BYTES, ResponseTooLargeError
from functions.shared.serving import connections
from functions.shared.serving.inference import STATEMENT_SECONDS, Inference
from functions.shared.serving.requests import read_call
from functions.shared.telemetry import MetricUnit, count, logger_of, metrics_of, timed

FUNCTION = "model_inference"
MARGIN_SECONDS = 1.0

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_inference: Inference | None = None


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers `{"limit", "requests": [{"id", "user", "items"}]}` with `{"model_version", "responses"}`.

    A response is `{"id", "recommended_items", "similar_items", "strategy"}`, or `{"id", "error"}`. A request may have a
    `type`, `purchase` or `rating`: its items are noted for its customer, and its response is `{"id"}`.
    """
    limit, requests = read_call(event)
    with timed(metrics, "Inference"):
        inference = _warm()
        answer = inference.answer(requests, limit, Deadline.of(context, MARGIN_SECONDS))
    size = len(msgspec.json.encode(answer))
    if size > PAYLOAD_BYTES:
        raise ResponseTooLargeError(
            f"{len(requests)} answers are {size} bytes, over {PAYLOAD_BYTES}: ask for fewer at once"
        )
    _measure(answer)
    inference.rules.report(logger, metrics)
    if inference.fallback is not None:
        inference.fallback.report(logger, metrics, answer["model_version"])
    return answer


def _warm() -> Inference:
    """Returns the state that is kept over invocations. It is made at the first one, not at import, so that a wrong
    environment fails a call, with a log entry."""
    global _inference
    if _inference is None:
        settings = environment.storage()
        connection = KeptConnection(settings.database, statement_timeout=STATEMENT_SECONDS, prepare=connections.prepare)
        _inference = Inference(connection, ArtifactBucket(settings.artifacts_bucket))
        # Objects loaded by now stay: a collection in the middle of a large batch need not look at them.
        gc.freeze()
    return _inference


def _outcome(response: Mapping[str, Any]) -> str:
    """Returns the name that an answer is counted under: its strategy, `empty` for an empty list, `noted`, or
    `error`."""
    if "error" in response:
        return "error"
    if "strategy" not in response:
        return "noted"
    return str(response["strategy"]) if response["recommended_items"] else "empty"


def _measure(answer: dict[str, Any]) -> None:
    responses = answer["responses"]
    strategies = Counter(map(_outcome, responses))
    metrics.add_metric("BatchSize", MetricUnit.Count, len(responses))
    for strategy, number in strategies.items():
        count(metrics, f"Answers{strategy.capitalize()}", number)
    logger.info("answered", extra={"model_version": answer["model_version"], "strategies": dict(strategies)})
