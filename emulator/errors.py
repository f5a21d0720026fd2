"""Errors that the local run shows as they are, without a traceback."""


class LocalRunError(Exception):
    """Something that the person at the terminal can act on: the text says what, expected, found and what to do."""
