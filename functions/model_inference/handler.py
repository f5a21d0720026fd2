"""Lambda: recommendations for a batch of requests."""

import gc
from collections import Counter
from typing import Any

import msgspec

from functions.model_inference import store
from functions.model_inference.inference import STATEMENT_SECONDS, Inference
from functions.model_inference.requests import read_call
from functions.shared import environment
from functions.shared.artifacts import ArtifactBucket
from functions.shared.database import KeptConnection
from functions.shared.deadline import Deadline
from functions.shared.limits import PAYLOAD_BYTES, ResponseTooLargeError
from functions.shared.telemetry import MetricUnit, count, logger_of, metrics_of, timed

FUNCTION = "model_inference"
MARGIN_SECONDS = 1.0

logger = logger_of(FUNCTION)
metrics = metrics_of(FUNCTION)

_inference: Inference | None = None


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{"limit", "requests"}` → `{"model_version", "responses"}`, in the shapes of DESIGN.md."""
    limit, requests = read_call(event)
    with timed(metrics, "Inference"):
        answer = _warm().answer(requests, limit, Deadline.of(context, MARGIN_SECONDS))
    size = len(msgspec.json.encode(answer))
    if size > PAYLOAD_BYTES:
        raise ResponseTooLargeError(
            f"{len(requests)} answers are {size} bytes, over {PAYLOAD_BYTES}: ask for fewer at once"
        )
    _measure(answer)
    return answer


def _warm() -> Inference:
    """What is kept over invocations; made at the first, so that a wrong environment fails a call and not the import."""
    global _inference
    if _inference is None:
        settings = environment.storage()
        connection = KeptConnection(settings.database, statement_timeout=STATEMENT_SECONDS, prepare=store.prepare)
        _inference = Inference(connection, ArtifactBucket(settings.artifacts_bucket))
        # What is loaded by now stays: a collection in the middle of a large batch need not look at all of it.
        gc.freeze()
    return _inference


def _measure(answer: dict[str, Any]) -> None:
    responses = answer["responses"]
    strategies = Counter(response.get("strategy", "error") for response in responses)
    metrics.add_metric("BatchSize", MetricUnit.Count, len(responses))
    for strategy, number in strategies.items():
        count(metrics, f"Answers{strategy.capitalize()}", number)
    logger.info("answered", extra={"model_version": answer["model_version"], "strategies": dict(strategies)})
