"""The error that training shows as it is, without a traceback."""


class TrainingError(Exception):
    """Training cannot go on; the text says what was expected, what was found, and what to do."""
