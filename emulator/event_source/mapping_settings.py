"""Reads the inputs of a Kinesis event source mapping."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from emulator.errors import LocalRunError
from emulator.ministack import MiniStack

DEFAULT_BATCH_SIZE = 100
MAX_BATCH_SIZE = 10_000
REPORTS_FAILURES = "ReportBatchItemFailures"
_NOT_REALISED = ("filterCriteria", "tumblingWindowInSeconds")


@dataclass(frozen=True)
class MappingSettings:
    """Times in seconds. `retries` and `record_age` are None if Lambda tries until the stream drops the record."""

    uuid: str
    stream_arn: str
    function_arn: str
    role_arn: str
    region: str
    starting_position: str
    batch_size: int
    window_seconds: float
    retries: int | None
    record_age: float | None
    bisects: bool
    reports_failures: bool
    failure_destination: str | None


def read_mapping(ministack: MiniStack, inputs: Mapping[str, Any]) -> MappingSettings:
    """Reads the inputs of an `aws.lambda.EventSourceMapping` (camelCase, resolved).

    Raises `LocalRunError` naming the function, the input, what was expected and what was found.
    """
    stream_arn, where = inputs.get("eventSourceArn") or "", f"event source of {inputs['functionName']}"
    if stream_arn.split(":")[2:3] != ["kinesis"]:
        raise LocalRunError(f"{where}: the local run has Kinesis streams as event sources, found {stream_arn!r}")
    for key in _NOT_REALISED:
        if inputs.get(key):
            raise LocalRunError(f"{where}: {key} is not part of the local run: leave it out")
    batch_size = int(inputs.get("batchSize") or DEFAULT_BATCH_SIZE)
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise LocalRunError(f"{where}: batchSize: expected 1 to {MAX_BATCH_SIZE}, found {batch_size}")
    starting_position = inputs.get("startingPosition")
    if starting_position not in ("LATEST", "TRIM_HORIZON"):
        raise LocalRunError(f"{where}: startingPosition: expected LATEST or TRIM_HORIZON, found {starting_position!r}")
    destination = ((inputs.get("destinationConfig") or {}).get("onFailure") or {}).get("destinationArn")
    if destination and destination.split(":")[2] != "s3":
        raise LocalRunError(f"{where}: the local run has buckets as failure destinations, found {destination!r}")
    try:
        function = ministack.client("lambda").get_function_configuration(FunctionName=inputs["functionName"])
    except ClientError as error:
        raise LocalRunError(f"{where}: {error}") from error
    return MappingSettings(
        uuid=str(uuid.uuid4()),
        stream_arn=stream_arn,
        function_arn=inputs["functionName"],
        role_arn=function["Role"],
        region=ministack.region,
        starting_position=starting_position,
        batch_size=batch_size,
        window_seconds=float(inputs.get("maximumBatchingWindowInSeconds") or 0),
        retries=_limit(inputs.get("maximumRetryAttempts")),
        record_age=_limit(inputs.get("maximumRecordAgeInSeconds")),
        bisects=bool(inputs.get("bisectBatchOnFunctionError")),
        reports_failures=REPORTS_FAILURES in (inputs.get("functionResponseTypes") or []),
        failure_destination=destination,
    )


def _limit(found: float | None) -> int | None:
    """Returns None for Lambda's -1, which like an absent value means no limit."""
    return None if found is None or found < 0 else int(found)
