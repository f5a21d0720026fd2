"""The functions as Lambda runs them, in this process: events and answers pass through JSON, errors as Lambda's."""

import base64
import io
import json
import time
from typing import Any

from aws_kinesis_agg.aggregator import RecordAggregator

from functions.embedding_loader import handler as loader
from functions.model_inference import handler as inference
from functions.shared.limits import ResponseTooLargeError
from functions.shared.serving.requests import RequestError, read_request
from functions.stream_transformation import handler as stream
from functions.stream_transformation.inference import InferenceClient

LIMIT = 5
GOOD = json.dumps({"session_id": "s", "customer_number": 1, "browse_history": [{"product_code": "I1"}]}).encode()


class Context:
    """The part of Lambda's context that handlers read."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, seconds: float = 60.0) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - time.monotonic()))


def load(bucket: str, version: str) -> dict[str, Any]:
    event = {"detail": {"bucket": {"name": bucket}, "object": {"key": f"{version}/manifest.json"}}}
    answer: dict[str, Any] = loader.handler(event, Context(300))
    return answer


def act(action: str, **more: str) -> dict[str, Any]:
    answer: dict[str, Any] = loader.handler({"action": action, **more}, Context())
    return answer


def infer(*requests: Any, limit: int = LIMIT, seconds: float = 30.0) -> dict[str, Any]:
    event = json.loads(json.dumps({"limit": limit, "requests": list(requests)}))
    answer: dict[str, Any] = json.loads(json.dumps(inference.handler(event, Context(seconds))))
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    """The recommended items of an answer, or of a record."""
    return [item["id"] for item in answer["recommended_items"]]


def request(id_: str = "r", items: Any = (), cart: Any = (), **user: Any) -> dict[str, Any]:
    """A request whose browsed items come before those in the cart."""
    browsed = [{"product_code": item, "in_shopping_cart": False} for item in items]
    return {"id": id_, "user": user, "items": browsed + [{"product_code": i, "in_shopping_cart": True} for i in cart]}


class LambdaService:
    """boto3's Lambda client, as far as the stream transformation calls it, over the inference handler."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.fail_next: list[Exception] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        self.calls.append(Payload)
        assert len(Payload) <= 6 * 1024 * 1024, "Lambda refuses a call over 6 MB"
        if self.fail_next:
            raise self.fail_next.pop(0)
        try:
            answer = self.run(json.loads(Payload))
        except Exception as error:  # as the platform does with whatever a function raises
            failed = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(failed).encode())}
        content = json.dumps(answer).encode()
        assert len(content) <= 6 * 1024 * 1024, "Lambda refuses an answer over 6 MB"
        return {"Payload": io.BytesIO(content)}

    def run(self, event: Any) -> Any:
        return inference.handler(event, Context(30))


class Recommender(LambdaService):
    """An inference function with no model: reads the requests as the real one does, and answers each the same."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.size = size

    def run(self, event: Any) -> Any:
        responses = []
        for raw in event["requests"]:
            try:
                read_request(raw)
                item = {"id": "x" * self.size, "score": 0.5}
                good = {"recommended_items": [item], "similar_items": [], "strategy": "popular"}
                responses.append({"id": raw["id"], **good})
            except RequestError as error:
                responses.append({"id": raw["id"], "error": str(error)})
        answer = {"model_version": "v", "responses": responses}
        if len(json.dumps(answer)) > 6_000_000:
            raise ResponseTooLargeError("over 6 MB")
        return answer


def firehose_event(*data: bytes) -> dict[str, Any]:
    records = [
        {
            "recordId": f"record-{number}",
            "approximateArrivalTimestamp": 1_700_000_000_000,
            "data": base64.b64encode(content).decode(),
            "kinesisRecordMetadata": {
                "sequenceNumber": f"4960{number:06}",
                "subsequenceNumber": 0,
                "partitionKey": "p",
                "shardId": "shardId-000000000000",
                "approximateArrivalTimestamp": 1_700_000_000_000,
            },
        }
        for number, content in enumerate(data)
    ]
    arn = "arn:aws:kinesis:eu-west-1:111122223333:stream/events"
    return {"invocationId": "i", "deliveryStreamArn": "d", "sourceKinesisStreamArn": arn, "records": records}


def deliver(service: Any, *data: bytes, seconds: float = 60.0) -> list[tuple[str, Any]]:
    """Runs the stream transformation over records: (result, the record's JSON) for each."""
    stream._client = InferenceClient("inference", LIMIT, service)
    event = firehose_event(*data)
    answer = stream.handler(event, Context(seconds))
    assert len(json.dumps(answer)) <= 6 * 1024 * 1024, "Firehose takes no answer over 6 MB"
    assert [r["recordId"] for r in answer["records"]] == [r["recordId"] for r in event["records"]]
    return [(r["result"], _line(base64.b64decode(r["data"]))) for r in answer["records"]]


def _line(data: bytes) -> Any:
    if not data:
        return None
    assert data.endswith(b"\n"), "a record's line ends with a newline: Firehose puts none between records"
    assert data.count(b"\n") == 1, "a record is one line"
    return json.loads(data)


def packed(*data: bytes) -> bytes:
    """Packs data as the Kinesis Producer Library does, by AWS's own library."""
    aggregator = RecordAggregator()
    for number, content in enumerate(data):
        aggregator.add_user_record(f"key-{number % 3}", content)
    aggregated: bytes = aggregator.clear_and_get().get_contents()[2]
    return aggregated
