"""Limits of Lambda that apply to more than one function."""

PAYLOAD_BYTES = 6 * 1024 * 1024 - 64 * 1024
"""The most bytes of a call or an answer: 6 MB for a synchronous call (AWS: Lambda quotas), less 64 KiB for the
envelope."""


class ResponseTooLargeError(RuntimeError):
    """The answer is over `PAYLOAD_BYTES`. The caller knows the error by this name, halves the batch and asks again."""
