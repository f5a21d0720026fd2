"""What the steps are pointed at: a stack that is up, on AWS or on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class AcceptanceError(Exception):
    """A step did not find what it expects; the text says what, expected and found."""


@dataclass(frozen=True)
class Target:
    """A stack with everything by which its user reaches it."""

    outputs: Mapping[str, Any]
    """The stack's outputs."""
    functions: Mapping[str, str]
    """Folder of `functions/` → the name of the function that runs it."""
    client: Callable[[str], Any]
    """Service (`s3`) → a boto3 client of the user's."""
    environment: Mapping[str, str]
    """What a command needs in its environment to act as the user."""
    dataset_file: Path
    folder: Path
    """For what a step leaves behind: logs, checkpoints."""
    training: tuple[str, ...] = ()
    """Arguments of the training command on top, such as `--epochs 2` where speed counts more than the model."""
    patience: float = 1.0
    """Waits are this many times as long as they usually take."""

    def output(self, name: str) -> str:
        """Raises `AcceptanceError` where the stack has no such output."""
        if name not in self.outputs:
            raise AcceptanceError(f"stack output {name}: expected one, found {', '.join(sorted(self.outputs))}")
        return str(self.outputs[name])
