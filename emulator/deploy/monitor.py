"""Answers for the Pulumi engine: it makes each resource real when the program registers it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import NO_LOCAL_EFFECT, REALISERS, Resource
from emulator.errors import LocalRunError
from emulator.program import unwrap

Edit = Callable[[Resource], Resource]


@dataclass(frozen=True)
class Registered:
    """A resource that the program registered. `realised` is False if it has no local effect."""

    resource: Resource
    realised: bool


class LocalMocks(Mocks):
    """Makes resources real on a `Cloud` and lists them."""

    def __init__(self, cloud: Cloud, edit: Edit) -> None:
        self.cloud = cloud
        self._edit = edit
        self.registered: list[Registered] = []
        self._lock = threading.Lock()

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = unwrap(args.inputs)
        resource = self._edit(Resource(args.typ, args.name, inputs))
        if not args.custom or args.typ.startswith("pulumi:providers:"):
            return f"{args.name}-id", dict(args.inputs)
        realiser = REALISERS.get(resource.type)
        if realiser is None and resource.type not in NO_LOCAL_EFFECT:
            raise LocalRunError(
                f"{resource}: the local run neither realises this type nor lists it as having no local effect: "
                "add it to emulator/deploy"
            )
        if realiser is None:
            id_, outputs = f"{args.name}-id", {}
        else:
            realised = realiser(self.cloud, resource)
            id_, outputs = realised.id, dict(realised.outputs)
        with self._lock:
            self.registered.append(Registered(resource, realiser is not None))
        return id_, {**{key: args.inputs.get(key, value) for key, value in resource.inputs.items()}, **outputs}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return self.cloud.invoke(args.token, args.args), []


class LocalMonitor(MockMonitor):
    """Registers each URN once. The SDK's own monitor would accept a second one silently; the engine does not."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  (the monitor's protocol)
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.resources:
            raise LocalRunError(f"duplicate resource URN {urn}: two resources of one type and parent share a name")
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]
