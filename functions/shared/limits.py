"""Limits of Lambda that more than one function keeps."""

PAYLOAD_BYTES = 6 * 1024 * 1024 - 64 * 1024
"""A synchronous call takes and returns 6 MB at most (AWS: Lambda quotas); some is left for what goes around it."""


class ResponseTooLargeError(RuntimeError):
    """An answer over `PAYLOAD_BYTES`. The caller halves the batch and asks again; it knows the error by this name."""
