"""Reads a delivery stream's inputs, and refuses those that Firehose would refuse."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.delivery.prefix import Prefixes, read_prefixes
from emulator.errors import LocalRunError

MIB = 1024 * 1024

# ExtendedS3DestinationConfiguration, BufferingHints and ProcessorParameter of Firehose's API reference.
DEFAULT_BUFFER_MIB, BUFFER_MIB = 5.0, (1.0, 128.0)
DEFAULT_BUFFER_SECONDS, BUFFER_SECONDS = 300.0, (0.0, 900.0)
DEFAULT_LAMBDA_MIB, LAMBDA_MIB = 1.0, (0.2, 3.0)
DEFAULT_LAMBDA_SECONDS, LAMBDA_SECONDS = 60.0, (0.0, 900.0)
DEFAULT_RETRIES, RETRIES = 3.0, (0.0, 300.0)

COMPRESSIONS = ("UNCOMPRESSED", "GZIP")
_FUNCTION = re.compile(r"arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:[\w-]+:(?P<qualifier>\$LATEST|[\w-]+)")


@dataclass(frozen=True)
class ProcessorSettings:
    """The Lambda function that transforms the records. Sizes in bytes, times in seconds."""

    function_arn: str
    role_arn: str
    buffer_bytes: float
    buffer_seconds: float
    retries: int


@dataclass(frozen=True)
class LogSettings:
    group: str
    stream: str


@dataclass(frozen=True)
class S3Settings:
    """A bucket to deliver to, and the role for it. Sizes in bytes, times in seconds."""

    bucket: str
    role_arn: str
    prefixes: Prefixes
    buffer_bytes: float
    buffer_seconds: float
    compression: str
    file_extension: str
    log: LogSettings | None


@dataclass(frozen=True)
class StreamSettings:
    """A whole delivery stream. `source_arn` and `source_role_arn` are None if it takes direct puts."""

    name: str
    source_arn: str | None
    source_role_arn: str | None
    s3: S3Settings
    processor: ProcessorSettings | None
    backup: S3Settings | None


def read_settings(inputs: Mapping[str, Any]) -> StreamSettings:
    """Reads the inputs of an `aws.kinesis.FirehoseDeliveryStream` (camelCase, resolved).

    Raises `LocalRunError` naming the stream, the input, what was expected and what was found.
    """
    name = inputs["name"]
    where = f"delivery stream {name}"
    if inputs.get("destination") != "extended_s3" or "extendedS3Configuration" not in inputs:
        raise LocalRunError(f"{where}: the local run delivers to extended_s3, found {inputs.get('destination')!r}")
    s3 = inputs["extendedS3Configuration"]
    for key in ("dataFormatConversionConfiguration", "dynamicPartitioningConfiguration"):
        if (s3.get(key) or {}).get("enabled", bool(s3.get(key))):
            raise LocalRunError(f"{where}: {key} is not part of the local run: leave it out")
    source = inputs.get("kinesisSourceConfiguration") or {}
    return StreamSettings(
        name=name,
        source_arn=source.get("kinesisStreamArn"),
        source_role_arn=source.get("roleArn"),
        s3=_s3(s3, where),
        processor=_processor(s3.get("processingConfiguration") or {}, s3["roleArn"], where),
        backup=_backup(s3, where),
    )


def _s3(inputs: Mapping[str, Any], where: str) -> S3Settings:
    compression = inputs.get("compressionFormat") or "UNCOMPRESSED"
    if compression not in COMPRESSIONS:
        raise LocalRunError(f"{where}: compressionFormat: expected {' or '.join(COMPRESSIONS)}, found {compression!r}")
    if (zone := inputs.get("customTimeZone") or "UTC") != "UTC":
        raise LocalRunError(f"{where}: customTimeZone is not part of the local run: leave it out, found {zone!r}")
    return S3Settings(
        bucket=inputs["bucketArn"].rsplit(":", 1)[-1],
        role_arn=inputs["roleArn"],
        prefixes=read_prefixes(inputs.get("prefix"), inputs.get("errorOutputPrefix"), where),
        buffer_bytes=MIB * _number(inputs, "bufferingSize", DEFAULT_BUFFER_MIB, BUFFER_MIB, where),
        buffer_seconds=_number(inputs, "bufferingInterval", DEFAULT_BUFFER_SECONDS, BUFFER_SECONDS, where),
        compression=compression,
        file_extension=inputs.get("fileExtension") or (".gz" if compression == "GZIP" else ""),
        log=_log(inputs.get("cloudwatchLoggingOptions") or {}, where),
    )


def _backup(s3: Mapping[str, Any], where: str) -> S3Settings | None:
    if s3.get("s3BackupMode", "Disabled") != "Enabled":
        return None
    if not s3.get("s3BackupConfiguration"):
        raise LocalRunError(f"{where}: s3BackupMode is Enabled, so s3BackupConfiguration must be set")
    return _s3(s3["s3BackupConfiguration"], f"{where}, s3BackupConfiguration")


def _log(inputs: Mapping[str, Any], where: str) -> LogSettings | None:
    if not inputs.get("enabled"):
        return None
    if not inputs.get("logGroupName") or not inputs.get("logStreamName"):
        raise LocalRunError(f"{where}: cloudwatchLoggingOptions: expected logGroupName and logStreamName")
    return LogSettings(inputs["logGroupName"], inputs["logStreamName"])


def _processor(inputs: Mapping[str, Any], role_arn: str, where: str) -> ProcessorSettings | None:
    if not inputs.get("enabled"):
        return None
    processors = inputs.get("processors") or []
    if [processor["type"] for processor in processors] != ["Lambda"]:
        found = [processor["type"] for processor in processors]
        raise LocalRunError(f"{where}: processors: the local run has one of type Lambda, found {found}")
    parameters = _parameters(processors[0].get("parameters") or [], where)
    function_arn = parameters.get("LambdaArn", "")
    match = _FUNCTION.fullmatch(function_arn)
    if match is None or match["qualifier"] == "$LATEST":
        raise LocalRunError(
            f"{where}: LambdaArn: expected a function's version or alias, …:function:name:alias, found "
            f"{function_arn!r}: pass the alias' ARN"
        )
    return ProcessorSettings(
        function_arn=function_arn,
        role_arn=parameters.get("RoleArn") or role_arn,
        buffer_bytes=MIB * _number(parameters, "BufferSizeInMBs", DEFAULT_LAMBDA_MIB, LAMBDA_MIB, where),
        buffer_seconds=_number(parameters, "BufferIntervalInSeconds", DEFAULT_LAMBDA_SECONDS, LAMBDA_SECONDS, where),
        retries=int(_number(parameters, "NumberOfRetries", DEFAULT_RETRIES, RETRIES, where)),
    )


def _parameters(parameters: Iterable[Mapping[str, str]], where: str) -> dict[str, str]:
    known = {"LambdaArn", "BufferSizeInMBs", "BufferIntervalInSeconds", "NumberOfRetries", "RoleArn"}
    found = {parameter["parameterName"]: parameter["parameterValue"] for parameter in parameters}
    if unknown := sorted(found.keys() - known):
        raise LocalRunError(f"{where}: processor parameters: expected {', '.join(sorted(known))}, found {unknown}")
    return found


def _number(inputs: Mapping[str, Any], key: str, default: float, limits: tuple[float, float], where: str) -> float:
    found = inputs.get(key)
    if found is None:
        return default
    lowest, highest = limits
    try:
        value = float(found)
    except (TypeError, ValueError):
        value = float("nan")
    if not lowest <= value <= highest:
        raise LocalRunError(f"{where}: {key}: expected {lowest:g} to {highest:g}, found {found!r}")
    return value
