"""Runs a Pulumi program without making anything, and keeps the resources that it registers, for pictures and tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from emulator.program import Stack, StackOutput, run, unwrap

LOOKUPS: dict[str, dict[str, Any]] = {
    "aws:index/getPartition:getPartition": {"partition": "aws", "dnsSuffix": "amazonaws.com"},
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "111122223333"},
    "aws:index/getRegion:getRegion": {"region": "eu-west-1"},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-s3"},
    "aws:ec2/getSubnet:getSubnet": {"availabilityZone": "eu-west-1a"},
}

COMPUTED = (
    *("apiEndpoint", "executionArn", "arn", "name", "url", "address", "version", "result", "hex", "port", "dbName"),
    "resourceId",
)
"""Outputs that the provider would compute if the program gives no such input."""


@dataclass(frozen=True)
class Node:
    """A registered resource. `inputs` have secrets unwrapped; `raw` are the inputs as the engine gets them."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    raw: Mapping[str, Any]
    parent: str
    custom: bool
    depends_on: tuple[str, ...]
    protect: bool


@dataclass
class Graph:
    """All resources that a program registered."""

    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, StackOutput] = field(default_factory=dict)
    calls: list[MockCallArgs] = field(default_factory=list)
    """Look-ups that the program made."""

    def of(self, type_: str) -> list[Node]:
        """Returns the resources of a type, named by its last part, such as `Instance` or `rds/instance:Instance`."""
        return [node for node in self.nodes if node.type.endswith(f":{type_}")]

    def one(self, type_: str, name: str = "") -> Node:
        """Returns the only resource of a type whose name contains `name`. Raises `LookupError` if it is not exactly
        one."""
        found = [node for node in self.of(type_) if name in node.name]
        if len(found) != 1:
            raise LookupError(f"expected one {type_} named *{name}*, found {[node.name for node in found]}")
        return found[0]


class _Provider(Mocks):
    def __init__(self, outputs: Mapping[str, Mapping[str, Any]]) -> None:
        self.calls: list[MockCallArgs] = []
        self._outputs = outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token not in LOOKUPS:
            raise LookupError(f"{args.token}: a look-up that is not answered here: add it to local/graph/recorder.py")
        self.calls.append(args)
        return LOOKUPS[args.token], []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        computed: dict[str, Any] = {key: f"{args.name}-{key}" for key in COMPUTED}
        partition = LOOKUPS["aws:index/getPartition:getPartition"]["partition"]
        computed["arn"] = f"arn:{partition}:{args.typ.split('/')[0].split(':')[-1]}:eu-west-1:111122223333:{args.name}"
        computed["executionArn"] = f"arn:{partition}:execute-api:eu-west-1:111122223333:{args.name}"
        computed["port"] = 5432
        return f"{args.name}-id", {**computed, **args.inputs, **self._outputs.get(args.name, {})}


class _Recorder(MockMonitor):
    def __init__(self, preview: bool, outputs: Mapping[str, Mapping[str, Any]]) -> None:
        provider = _Provider(outputs)
        super().__init__(provider)
        self.graph = Graph(calls=provider.calls)
        self._preview = preview

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  (the monitor's protocol)
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            raw = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.graph.nodes.append(
                Node(
                    answer.urn,
                    request.type,
                    request.name,
                    unwrap(raw),
                    raw,
                    request.parent,
                    request.custom,
                    tuple(request.dependencies),
                    request.protect,
                )
            )
            if self._preview and request.custom:
                answer.id = ""
                answer.object.Clear()
        return answer


def without_secrets(value: Any) -> Any:
    """Replaces secrets: the result is what any reader of the state sees."""
    if rpc.is_rpc_secret(value):
        return "[secret]"
    if isinstance(value, dict):
        return {key: without_secrets(entry) for key, entry in value.items()}
    return [without_secrets(entry) for entry in value] if isinstance(value, list) else value


def build(
    program: Callable[[], object],
    *,
    preview: bool = False,
    stack: str = "test",
    config: Mapping[str, str] | None = None,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Graph:
    """Runs a program, a function that makes resources, in an event loop of its own.

    `outputs` maps a resource's name to outputs that differ from its inputs, as they do while AWS has not finished a
    change.
    """

    monitor = _Recorder(preview, outputs or {})
    given = Stack(stack, config or {})
    monitor.graph.outputs.update(run(program, monitor.mocks, monitor, given, preview=preview))
    return monitor.graph
