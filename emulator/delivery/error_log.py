"""Writes a delivery stream's errors to the CloudWatch log stream that the program declares for them."""

import json

from botocore.exceptions import BotoCoreError, ClientError

from emulator.clock import Clock
from emulator.delivery.destination import VERSION
from emulator.delivery.records import Failure
from emulator.delivery.stream_settings import LogSettings
from emulator.errors import LocalRunError
from emulator.ministack import Role


class ErrorLog:
    """Writes in the delivery role. A line that cannot be written is lost, as on AWS; `refused` is the reason."""

    def __init__(self, settings: LogSettings | None, role: Role, stream_arn: str, clock: Clock) -> None:
        self.refused: str | None = None
        self._settings = settings
        self._role = role
        self._stream_arn = stream_arn
        self._clock = clock

    def write(self, failure: Failure, function_arn: str) -> None:
        if self._settings is None:
            return
        message = {
            "deliveryStreamARN": self._stream_arn,
            "deliveryStreamVersionId": VERSION,
            "message": failure.message,
            "errorCode": failure.code,
            "processor": function_arn,
        }
        try:
            self._role.client("logs").put_log_events(
                logGroupName=self._settings.group,
                logStreamName=self._settings.stream,
                logEvents=[{"timestamp": round(self._clock.time() * 1000), "message": json.dumps(message)}],
            )
        except (ClientError, BotoCoreError, LocalRunError) as error:
            self.refused = f"{self._settings.group}/{self._settings.stream}: {error}"
