"""A resource as the program declares it, and the functions that make each resource type real on this machine."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.errors import LocalRunError

if TYPE_CHECKING:
    from emulator.deploy.cloud import Cloud


@dataclass(frozen=True)
class Resource:
    """A resource with its inputs resolved: keys in camelCase as in pulumi-aws, secrets unwrapped."""

    type: str
    name: str
    inputs: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.type} {self.name!r}"

    def __getitem__(self, key: str) -> Any:
        try:
            return self.inputs[key]
        except KeyError:
            raise LocalRunError(f"{self}: expected the input {key!r}, found {', '.join(sorted(self.inputs))}") from None

    def get(self, key: str, default: Any = None) -> Any:
        value = self.inputs.get(key)
        return default if value is None else value

    def physical_name(self, key: str = "name", limit: int = 63) -> str:
        """Returns the name that the program gives, or one made from the logical name, as Pulumi's auto-naming does."""
        given = self.get(key)
        if given:
            return str(given)
        suffix = hashlib.sha256(f"{self.type} {self.name}".encode()).hexdigest()[:7]
        return f"{re.sub(r'[^a-zA-Z0-9-]', '-', self.name).lower()[: limit - 8]}-{suffix}"

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tags in the shape that most AWS APIs take."""
        return [{"Key": key, "Value": value} for key, value in (self.get("tags") or {}).items()]


@dataclass(frozen=True)
class Realised:
    """A resource's id, and its outputs besides its inputs."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)


Realiser = Callable[["Cloud", Resource], Realised]

REALISERS: dict[str, Realiser] = {}
"""Resource type → the function that makes it real on this machine."""

NO_LOCAL_EFFECT: dict[str, str] = {}
"""Resource type → the reason why it has no effect on this machine."""


def realises(*types: str) -> Callable[[Realiser], Realiser]:
    """Registers a function that makes resources of some types real."""

    def register(realiser: Realiser) -> Realiser:
        for type_ in types:
            assert type_ not in REALISERS, f"{type_} is realised twice"
            REALISERS[type_] = realiser
        return realiser

    return register


def no_local_effect(type_: str, reason: str) -> None:
    """Lists a resource type that has no effect on this machine, with the reason."""
    assert type_ not in REALISERS, f"{type_} is realised"
    NO_LOCAL_EFFECT[type_] = reason
