"""Realises the Pulumi program's resources on this machine as they are registered, with their inputs resolved."""

from emulator.deploy import api, buckets, compute, databases, glue, identity, monitoring, network, streams  # noqa: F401  (they register)
