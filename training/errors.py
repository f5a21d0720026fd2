"""The error that training shows as it is, without a traceback."""


class TrainingError(Exception):
    """Something that whoever runs training can act on: the text says what, expected, found and what to do."""
