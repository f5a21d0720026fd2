"""The stand-in provider: the engine's protocol on one side, `Cloud` on the other."""

import hashlib
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from emulator.program import unwrap
from tests.engine.cloud import FUNCTION, Cloud, Resource
from tests.engine.resource_types import TYPES, ResourceType
from tests.engine.updates import Properties, Refused, publishes

PROVIDERS = ("aws", "random")
SECRET_OUTPUTS = {"random:index/randomPassword:RandomPassword": {"result"}}
DEFAULTS = "__defaults"
"""The key under which the real provider, too, notes which inputs it filled itself."""


@contextmanager
def serving(cloud: Cloud, folder: Path) -> Iterator[None]:
    """Answers as `pulumi-resource-aws` and `pulumi-resource-random`, which it puts into `folder` for the PATH.

    The engine starts these, and is told the port on which this process answers: so a test sees the cloud.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(cloud), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for name in PROVIDERS:
        plugin = folder / f"pulumi-resource-{name}"
        plugin.write_text(f"#!/bin/sh\necho {port}\nexec sleep 3600\n")
        plugin.chmod(0o755)
    try:
        yield
    finally:
        server.stop(None)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One for `aws` and `random`: which of them is asked shows in the resource's type."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="7.51.1")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        if region := request.variables.get("aws:config:region"):
            self._cloud.region = region
            prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
            self._cloud.partition = next((name for key, name in prefixes.items() if region.startswith(key)), "aws")
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Invoke(self, request: Any, context: Any) -> Any:
        with _refusals(context):
            answer = self._cloud.look_up(request.tok, _read(request.args))
            return provider_pb2.InvokeResponse(**{"return": _write(answer)})

    def Check(self, request: Any, context: Any) -> Any:
        type_, name = _type(request.urn), _name(request.urn)
        if type_ not in TYPES:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{type_}: not known here: add to tests/engine/resource_types.py what replaces it",
            )
        kind, olds, inputs = TYPES[type_], _read(request.olds), _read(request.news)
        if kind.named_by and kind.named_by not in inputs:
            seed = hashlib.sha256(request.randomSeed or name.encode()).hexdigest()
            inputs[kind.named_by] = olds.get(kind.named_by) or f"{name}-{seed[:7]}"
            inputs[DEFAULTS] = [kind.named_by]
        failures = []
        if kind.named_by and len(str(inputs[kind.named_by])) > kind.longest_name:
            reason = f"{kind.named_by}: expected at most {kind.longest_name} characters, got {inputs[kind.named_by]!r}"
            failures.append(provider_pb2.CheckFailure(property=kind.named_by, reason=reason))
        return provider_pb2.CheckResponse(inputs=_write(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        kind = TYPES[_type(request.urn)]
        before, after = unwrap(_read(request.old_inputs)), unwrap(_read(request.news))
        changed = changes(kind, before, after)
        replaces = [path for path in kind.replaces if _at(before, path) != _at(after, path) and _top(path) in changed]
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if changed else response.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(_top(path) for path in replaces),
            # Two of the same name cannot exist at once.
            deleteBeforeReplace=bool(replaces and kind.named_by and DEFAULTS not in after),
        )

    def Create(self, request: Any, context: Any) -> Any:
        type_, given = _type(request.urn), _read(request.properties)
        if request.preview:
            computed = self._cloud.computed(type_, unwrap(given))
            return provider_pb2.CreateResponse(properties=_write({**dict.fromkeys(computed, rpc.UNKNOWN), **given}))
        with _refusals(context):
            thing = self._cloud.create(type_, _name(request.urn), unwrap(given))
            thing.secrets = _secrets(type_, given)
            return provider_pb2.CreateResponse(id=thing.id, properties=_outputs(thing))

    def Read(self, request: Any, context: Any) -> Any:
        thing = self._cloud.read(_type(request.urn), request.id)
        if thing is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=thing.id, properties=_outputs(thing), inputs=_wrapped(thing, thing.inputs))

    def Update(self, request: Any, context: Any) -> Any:
        type_, given = _type(request.urn), _read(request.news)
        if request.preview:
            outputs = {**_read(request.olds), **given}
            if type_ == FUNCTION and publishes(unwrap(_read(request.old_inputs)), unwrap(given)):
                outputs["version"] = rpc.UNKNOWN
            return provider_pb2.UpdateResponse(properties=_write(outputs))
        with _refusals(context):
            thing = self._cloud.update(type_, request.id, _name(request.urn), unwrap(given))
            thing.secrets = _secrets(type_, given)
            return provider_pb2.UpdateResponse(properties=_outputs(thing))

    def Delete(self, request: Any, context: Any) -> Any:
        with _refusals(context):
            self._cloud.delete(_type(request.urn), request.id, _name(request.urn))
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def changes(kind: ResourceType, before: Properties, after: Properties) -> set[str]:
    """The properties that differ; one that AWS fills itself does not differ by being given no more."""
    return {
        key
        for key in (before.keys() | after.keys()) - {DEFAULTS}
        if before.get(key) != after.get(key) and not (key in kind.kept and key not in after)
    }


@contextmanager
def _refusals(context: Any) -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        context.abort(grpc.StatusCode.UNKNOWN, str(refusal))


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.split("::")[3]


def _top(path: str) -> str:
    return path.partition(".")[0]


def _at(properties: Properties, path: str) -> Any:
    value: Any = properties
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else value
    return value


def _secrets(type_: str, given: Properties) -> set[str]:
    """The properties with a secret in them, at whatever depth."""
    return {key for key, value in given.items() if value != unwrap(value)} | SECRET_OUTPUTS.get(type_, set())


def _outputs(thing: Resource) -> struct_pb2.Struct:
    return _wrapped(thing, {key: value for key, value in thing.outputs.items() if key != DEFAULTS})


def _wrapped(thing: Resource, properties: Properties) -> struct_pb2.Struct:
    return _write(
        {key: rpc.wrap_rpc_secret(value) if key in thing.secrets else value for key, value in properties.items()}
    )


def _read(properties: struct_pb2.Struct) -> Properties:
    read: Properties = json_format.MessageToDict(properties)
    return read


def _write(properties: Properties) -> struct_pb2.Struct:
    return json_format.ParseDict(properties, struct_pb2.Struct())
