"""The Kinesis event source mapping of the local run: Kinesis → Lambda, as Lambda's own poller does it."""

from emulator.event_source.mapping import EventSource, MappingCounters

__all__ = ["EventSource", "MappingCounters"]
