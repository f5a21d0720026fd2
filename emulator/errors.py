"""Errors that the local run shows as they are, without a traceback."""


class LocalRunError(Exception):
    """An error that the person at the terminal can mend. The text says what was expected, what was found and what to
    do."""
