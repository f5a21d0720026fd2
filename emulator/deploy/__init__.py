"""Realises the Pulumi program's resources on this machine, as they are registered, with their inputs resolved."""

from emulator.deploy import batch, compute, databases, identity, monitoring, network, storage, streams  # noqa: F401  (they register)
