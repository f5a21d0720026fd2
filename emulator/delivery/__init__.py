"""The delivery stream of the local run: Kinesis → Lambda → S3, as Amazon Data Firehose does it."""

from emulator.delivery.stream import Counters, DeliveryStream

__all__ = ["Counters", "DeliveryStream"]
