"""Writes a delivery stream's objects to S3: their names, their compression, and the error documents."""

import base64
import gzip
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from emulator.delivery.records import Outcome
from emulator.delivery.stream_settings import S3Settings
from emulator.errors import LocalRunError
from emulator.ministack import Role

VERSION = 1
"""The delivery stream's version, a part of each object's name. On AWS it grows with each change of configuration."""

PROCESSING_FAILED = "processing-failed"


@dataclass(frozen=True)
class S3Object:
    """An object to be written. Its key is the same for all tries, so a try that succeeded unnoticed makes no second
    object."""

    bucket: str
    key: str
    body: bytes


class S3Destination:
    """Writes to one bucket with its prefixes, in the delivery role."""

    def __init__(self, settings: S3Settings, role: Role, stream_name: str) -> None:
        self.settings = settings
        self._role = role
        self._stream_name = stream_name

    def find(self) -> None:
        """Makes the calls that Firehose makes before it writes to the bucket. Raises `LocalRunError` if the role may
        not."""
        bucket, s3 = self.settings.bucket, self._role.client("s3")
        try:
            s3.get_bucket_location(Bucket=bucket)
            s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
            s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1)
        except ClientError as error:
            raise LocalRunError(f"role {self._role.arn} cannot deliver to bucket {bucket}: {error}") from error

    def data_object(self, chunks: Iterable[bytes], oldest_ms: int) -> S3Object:
        """Returns an object with the data in the order of the records, with nothing between them."""
        moment = self._moment(oldest_ms)
        return self._object(self.settings.prefixes.for_data(moment), moment, b"".join(chunks))

    def error_object(self, failed: Iterable[Outcome], function_arn: str, oldest_ms: int) -> S3Object:
        """Returns an object with a JSON document, on a line of its own, for each record that failed at the
        processor."""
        moment = self._moment(oldest_ms)
        prefix = self.settings.prefixes.for_errors(moment, PROCESSING_FAILED)
        lines = "".join(json.dumps(error_document(outcome, function_arn)) + "\n" for outcome in failed)
        return self._object(prefix, moment, lines.encode())

    def put(self, item: S3Object) -> None:
        """Writes the object. Raises `ClientError` or `BotoCoreError`; the delivery stream then tries again."""
        self._role.client("s3").put_object(Bucket=item.bucket, Key=item.key, Body=item.body)

    def _object(self, prefix: str, moment: datetime, body: bytes) -> S3Object:
        suffix = f"{self._stream_name}-{VERSION}-{moment:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"
        if self.settings.compression == "GZIP":
            body = gzip.compress(body, mtime=0)
        return S3Object(self.settings.bucket, f"{prefix}{suffix}{self.settings.file_extension}", body)

    def _moment(self, oldest_ms: int) -> datetime:
        """Returns the arrival of the object's oldest record, at which Firehose evaluates prefixes and suffix."""
        return datetime.fromtimestamp(oldest_ms / 1000, UTC)


def error_document(outcome: Outcome, function_arn: str) -> dict[str, str | int]:
    """Returns a failed record's document in the format of Firehose's developer guide ("Handle failure in data
    transformation")."""
    failure = outcome.failure
    assert failure is not None, "only failed records have an error document"
    return {
        "attemptsMade": failure.attempts,
        "arrivalTimestamp": outcome.record.arrival_ms,
        "errorCode": failure.code,
        "errorMessage": failure.message,
        "attemptEndingTimestamp": failure.ended_ms,
        "rawData": base64.b64encode(outcome.record.data).decode(),
        "lambdaArn": function_arn,
    }
