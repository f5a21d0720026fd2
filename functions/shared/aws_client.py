"""boto3's clients of the functions, imported when the first one is made."""

from typing import Any


def aws_client(service: str, *, connect_seconds: float, read_seconds: float, tries: int = 1) -> Any:
    """Returns boto3's client of a service. By default it does not retry, because it does not know how much time is
    left."""
    import boto3
    from botocore.config import Config

    retries: Any = {"total_max_attempts": tries}
    config = Config(connect_timeout=connect_seconds, read_timeout=read_seconds, retries=retries)
    return boto3.client(service, config=config)
