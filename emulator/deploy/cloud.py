"""The state that realisers share: the emulated AWS, the run's folder, and the resources made so far."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from emulator.deploy.resource import Resource
from emulator.errors import LocalRunError
from emulator.event_rules import EventRules
from emulator.glue.triggers import crawlers, fired_by_event
from emulator.ministack import MiniStack
from emulator.reach import Network
from emulator.schedules import Schedules


class Database(Protocol):
    """The interface of a database server of the run."""

    host: str
    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...

    @property
    def ended(self) -> str | None:
        """Returns a message about a server that ended before it was stopped, or None."""


@dataclass(frozen=True)
class DatabaseInstance:
    """An RDS instance made real: the server, and the login that the program gave it."""

    resource: Resource
    server: Database
    database: str
    username: str
    password: str = field(repr=False)


@dataclass
class Cloud:
    """The AWS of one run. Realisers are called from several threads, in the order of the resources' dependencies."""

    folder: Path
    aws: MiniStack
    databases: dict[str, DatabaseInstance] = field(default_factory=dict)
    """Engine (`postgres`, `mysql`) → instance."""
    parameter_groups: dict[str, Mapping[str, str]] = field(default_factory=dict)
    functions: dict[str, Resource] = field(default_factory=dict)
    """Physical name → function."""
    gateway_calls: list[tuple[str, str]] = field(default_factory=list)
    """Each function that API Gateway calls, and the ARN of the route or authorizer that makes it call."""
    glue_jobs: dict[str, Resource] = field(default_factory=dict)
    crawlers: dict[str, Resource] = field(default_factory=dict)
    glue_triggers: dict[str, Resource] = field(default_factory=dict)
    glue_connections: dict[str, Resource] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    delivery_streams: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name → inputs."""
    event_sources: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Event source mapping's name → inputs."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.event_rules = EventRules(self.aws)
        self.schedules = Schedules(self.aws)
        self.event_rules.on_workflow(lambda name: crawlers(fired_by_event(self.glue_triggers.values(), name)))

    @property
    def ended(self) -> str | None:
        """Returns a message about a service that ended before it was stopped, or None. Nothing that needs it can go
        on."""
        told = [self.aws.ended, *(instance.server.ended for instance in list(self.databases.values()))]
        return next(filter(None, told), None)

    def client(self, service: str) -> Any:
        """Returns a client with the run's root credentials: those of the deployer, never of a part of the system."""
        return self.aws.client(service)

    def reach(self, place: Mapping[str, Any]) -> dict[str, str]:
        """Returns the variables by which a process in a subnet reaches AWS, as far as the declared network allows."""
        variables = self.network.environment(place["subnetIds"], place["securityGroupIds"], self.aws.endpoint_url)
        return variables | {"AWS_CA_BUNDLE": str(self.aws.ca_bundle)}

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.aws.region}:{self.aws.account_id}:{resource}"

    def invoke(self, token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answers the program's look-ups. Raises `LocalRunError` for an unknown one."""
        if token not in _LOOKUPS:
            raise LocalRunError(
                f"{token}: the local run does not answer this look-up: add it to emulator/deploy/cloud.py"
            )
        return _LOOKUPS[token](self, args)


def _identity(cloud: Cloud, _: Mapping[str, Any]) -> dict[str, Any]:
    identity = cloud.client("sts").get_caller_identity()
    return {"accountId": identity["Account"], "arn": identity["Arn"], "userId": identity["UserId"], "id": "caller"}


def _region(cloud: Cloud, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"region": cloud.aws.region, "id": cloud.aws.region}


def _partition(cloud: Cloud, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"}


def _zones(cloud: Cloud, args: Mapping[str, Any]) -> dict[str, Any]:
    filters = [{"Name": entry["name"], "Values": entry["values"]} for entry in args.get("filters", [])]
    zones = cloud.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
    return {"names": [zone["ZoneName"] for zone in zones], "id": cloud.aws.region}


def _prefix_list(cloud: Cloud, args: Mapping[str, Any]) -> dict[str, Any]:
    lists = cloud.client("ec2").describe_prefix_lists()["PrefixLists"]
    for prefix_list in lists:
        if prefix_list["PrefixListName"] == args["name"]:
            cloud.network.prefix_lists[prefix_list["PrefixListId"]] = args["name"]
            return {"id": prefix_list["PrefixListId"], "name": args["name"]}
    raise LocalRunError(f"prefix list {args['name']}: found only {[entry['PrefixListName'] for entry in lists]}")


def _subnet(cloud: Cloud, args: Mapping[str, Any]) -> dict[str, Any]:
    subnet = cloud.client("ec2").describe_subnets(SubnetIds=[args["id"]])["Subnets"][0]
    return {"id": subnet["SubnetId"], "vpcId": subnet["VpcId"], "availabilityZone": subnet["AvailabilityZone"]}


_LOOKUPS: dict[str, Callable[[Cloud, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _prefix_list,
    "aws:ec2/getSubnet:getSubnet": _subnet,
}
