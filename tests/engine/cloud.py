"""An account that remembers what was made in it and refuses what AWS refuses; it runs nothing."""

import hashlib
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engine.resource_types import TYPES
from tests.engine.updates import Properties, Refused, check_update, publishes

DATABASE = "aws:rds/instance:Instance"
BUCKET = "aws:s3/bucket:Bucket"
FUNCTION = "aws:lambda/function:Function"
KEY = "aws:kms/key:Key"
INVOCATION = "aws:lambda/invocation:Invocation"


@dataclass
class Resource:
    """Something that exists."""

    type: str
    name: str
    """The logical name, by which tests speak of it."""
    id: str
    inputs: Properties
    outputs: Properties
    secrets: set[str] = field(default_factory=set)
    """The properties that the program gave as secrets."""


@dataclass(frozen=True)
class Call:
    """A request that changed something, or was refused."""

    verb: str
    type: str
    name: str


@dataclass
class Cloud:
    """One account in one region. Tests set `full_buckets` and `fail_once`, and read the rest."""

    region: str = "eu-west-1"
    partition: str = "aws"
    account: str = "111122223333"
    resources: dict[str, Resource] = field(default_factory=dict)
    """Resource type and id → resource."""
    snapshots: dict[str, str | None] = field(default_factory=dict)
    """Final snapshots of databases: name → the key that encrypts it."""
    dying_keys: set[str] = field(default_factory=set)
    """ARNs of keys that are scheduled for deletion."""
    invoked: list[Properties] = field(default_factory=list)
    """The inputs of each run of an `Invocation`."""
    calls: list[Call] = field(default_factory=list)
    full_buckets: set[str] = field(default_factory=set)
    """Logical names of buckets with objects in them."""
    fail_once: str = ""
    """The logical name of a resource whose next creation or change fails."""
    _count: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def one(self, type_: str, name: str = "") -> Resource:
        """The one resource of a type whose logical name contains `name`."""
        found = self.of(type_, name)
        assert len(found) == 1, f"expected one {type_} named *{name}*, found {[thing.name for thing in found]}"
        return found[0]

    def of(self, type_: str, name: str = "") -> list[Resource]:
        return [thing for thing in list(self.resources.values()) if thing.type == type_ and name in thing.name]

    def called(self, verb: str) -> list[str]:
        """The logical names that a verb was called for."""
        return [call.name for call in self.calls if call.verb == verb]

    def forget_calls(self) -> None:
        self.calls.clear()
        self.invoked.clear()

    def create(self, type_: str, name: str, inputs: Properties) -> Resource:
        with self._lock:
            self.calls.append(Call("create", type_, name))
            self._fail_where_asked(name)
            id_ = self._physical_id(type_, inputs)
            if f"{type_}/{id_}" in self.resources:
                raise Refused(f"{name}: AlreadyExists: {id_}")
            thing = Resource(type_, name, id_, inputs, {})
            thing.outputs = self._outputs(thing)
            self.resources[f"{type_}/{id_}"] = thing
            if type_ == INVOCATION:
                self.invoked.append(inputs)
            return thing

    def update(self, type_: str, id_: str, name: str, inputs: Properties) -> Resource:
        with self._lock:
            self.calls.append(Call("update", type_, name))
            self._fail_where_asked(name)
            thing = self._existing(type_, id_)
            before, version = thing.inputs, thing.outputs.get("version")
            kept = {key: before[key] for key in TYPES[type_].kept if key in before and key not in inputs}
            check_update(type_, before, inputs)
            thing.inputs = {**inputs, **kept}
            computed = {key: value for key, value in thing.outputs.items() if key not in before}
            thing.outputs = {**computed, **thing.inputs}
            if type_ == FUNCTION and publishes(before, inputs):
                thing.outputs["version"] = str(int(version or 0) + 1)
            return thing

    def delete(self, type_: str, id_: str, name: str) -> None:
        with self._lock:
            self.calls.append(Call("delete", type_, name))
            thing = self.resources.get(f"{type_}/{id_}")
            if thing is None:
                return
            if type_ == DATABASE:
                self._delete_database(thing)
            if type_ == BUCKET:
                self._delete_bucket(thing)
            if type_ == KEY:
                self.dying_keys.add(thing.outputs["arn"])
            del self.resources[f"{type_}/{id_}"]

    def computed(self, type_: str, inputs: Properties) -> set[str]:
        """The outputs that nobody knows before the resource is made."""
        unmade = Resource(type_, "", "unmade", {key: value for key, value in inputs.items() if value}, {})
        return self._outputs(unmade).keys() - inputs.keys()

    def read(self, type_: str, id_: str) -> Resource | None:
        return self.resources.get(f"{type_}/{id_}")

    def look_up(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        answers: dict[str, Properties] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": self.account},
            "aws:index/getRegion:getRegion": {"region": self.region},
            "aws:index/getPartition:getPartition": {"partition": self.partition, "dnsSuffix": self._dns_suffix()},
            "aws:index/getAvailabilityZones:getAvailabilityZones": {
                "names": [f"{self.region}{letter}" for letter in "abc"]
            },
            "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-s3", "name": arguments.get("name")},
            "aws:ec2/getSubnet:getSubnet": {"availabilityZone": f"{self.region}a", "vpcId": "vpc-1"},
        }
        if token not in answers:
            raise Refused(f"{token}: a look-up that is not answered here: add it to tests/engine/cloud.py")
        return {"id": "looked-up", **arguments, **answers[token]}

    def _fail_where_asked(self, name: str) -> None:
        if self.fail_once == name:
            self.fail_once = ""
            raise Refused(f"{name}: InternalFailure: the request processing has failed because of an unknown error")

    def _delete_database(self, thing: Resource) -> None:
        if thing.inputs.get("deletionProtection"):
            raise Refused(f"{thing.name}: InvalidParameterCombination: Cannot delete protected DB Instance")
        if thing.inputs.get("skipFinalSnapshot"):
            return
        snapshot = thing.inputs.get("finalSnapshotIdentifier")
        if not snapshot:
            raise Refused(f"{thing.name}: final_snapshot_identifier is required when skip_final_snapshot is false")
        if snapshot in self.snapshots:
            raise Refused(f"{thing.name}: DBSnapshotAlreadyExists: {snapshot}")
        self.snapshots[snapshot] = thing.inputs.get("kmsKeyId")

    def _delete_bucket(self, thing: Resource) -> None:
        if thing.name in self.full_buckets and not thing.inputs.get("forceDestroy"):
            raise Refused(f"{thing.name}: BucketNotEmpty: The bucket you tried to delete is not empty")
        parts = [key for key, part in self.resources.items() if part.inputs.get("bucket") == thing.id and part != thing]
        for key in parts:
            del self.resources[key]

    def _existing(self, type_: str, id_: str) -> Resource:
        if f"{type_}/{id_}" not in self.resources:
            raise Refused(f"{type_}: {id_} does not exist")
        return self.resources[f"{type_}/{id_}"]

    def _physical_id(self, type_: str, inputs: Properties) -> str:
        named_by = TYPES[type_].named_by
        if named_by in inputs and type_ != "aws:lambda/alias:Alias":
            return str(inputs[named_by])
        kind = type_.rpartition(":")[2].lower()
        return f"{kind}-{next(self._count):06x}"

    def _dns_suffix(self) -> str:
        return {"aws-cn": "amazonaws.com.cn"}.get(self.partition, "amazonaws.com")

    def _outputs(self, thing: Resource) -> Properties:
        outputs = {**thing.inputs, **self._computed(thing)}
        if arn := TYPES[thing.type].arn:
            service, _, resource = arn.format(**{"name": thing.id, **thing.inputs}).partition(":")
            if service == "s3":
                outputs["arn"] = f"arn:{self.partition}:s3:::{resource.lstrip(':')}"
            else:
                region = "" if service == "iam" else self.region
                outputs["arn"] = f"arn:{self.partition}:{service}:{region}:{self.account}:{resource.lstrip(':')}"
        return outputs

    def _computed(self, thing: Resource) -> Properties:
        digest = hashlib.sha256(thing.id.encode()).hexdigest()
        match thing.type:
            case "aws:rds/instance:Instance":
                port = thing.inputs.get("port", 5432)
                address = f"{thing.id}.c0ffee.{self.region}.rds.{self._dns_suffix()}"
                return {
                    "address": address,
                    "port": port,
                    "endpoint": f"{address}:{port}",
                    "resourceId": f"db-{digest[:20].upper()}",
                }
            case "aws:apigatewayv2/api:Api":
                return {
                    "apiEndpoint": f"https://{thing.id}.execute-api.{self.region}.{self._dns_suffix()}",
                    "executionArn": f"arn:{self.partition}:execute-api:{self.region}:{self.account}:{thing.id}",
                }
            case "aws:lambda/function:Function":
                return {"version": "1"}
            case "aws:sqs/queue:Queue":
                return {"url": f"https://sqs.{self.region}.{self._dns_suffix()}/{self.account}/{thing.id}"}
            case "aws:lambda/invocation:Invocation":
                return {"result": "{}"}
            case "random:index/randomId:RandomId":
                return {"hex": digest[: 2 * int(thing.inputs["byteLength"])]}
            case "random:index/randomPassword:RandomPassword":
                return {"result": digest[: int(thing.inputs["length"])]}
            case _:
                return {}
