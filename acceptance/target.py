"""The stack that the steps act on, on AWS or on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class AcceptanceError(Exception):
    """A step did not find what it expects. The text says what was expected and what was found."""


@dataclass(frozen=True)
class Target:
    """A stack, and a user's access to it."""

    outputs: Mapping[str, Any]
    """The stack's outputs."""
    functions: Mapping[str, str]
    """Folder of `functions/` → the name of the function that runs it."""
    client: Callable[[str], Any]
    """Service (`s3`) → a boto3 client with the user's credentials."""
    environment: Mapping[str, str]
    """The environment of a command that acts as the user."""
    dataset_file: Path
    folder: Path
    """The folder for a step's files: logs, checkpoints."""
    training: tuple[str, ...] = ()
    """More arguments of the training command, such as `--epochs 2` if speed matters more than the model."""
    patience: float = 1.0
    """The factor by which waits may be longer than usual."""

    def output(self, name: str) -> str:
        """Returns an output. Raises `AcceptanceError` if the stack has no such output."""
        if name not in self.outputs:
            raise AcceptanceError(f"stack output {name}: expected one, found {', '.join(sorted(self.outputs))}")
        return str(self.outputs[name])
