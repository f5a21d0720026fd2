"""The private network that databases, functions and the Glue job share."""

import ipaddress
from collections.abc import Sequence
from functools import partial
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_range, check_text
from components.security_groups import connect

HTTPS_PORT = 443
MIN_ZONES, MAX_ZONES = 2, 3
"""RDS requires subnets in two zones or more, even for an instance in one zone."""

SUBNET_BITS = 4
VPC_PREFIX_LENGTHS = (16, 28 - SUBNET_BITS)
"""A VPC is a /16 at most, a subnet a /28 at least (VPC User Guide, "VPC CIDR blocks")."""


class NetworkSettings(TypedDict, total=False):
    """Settings of the network, as given under `recommender:network` in the stack's configuration."""

    zones: int
    """Availability zones to spread subnets over, 2 or 3. Fewer than a live stack has are refused: RDS does not
    give up a subnet that a database may live in."""
    cidr_block: str
    """IPv4 addresses of the new VPC, /16 to /24."""
    vpc_id: str
    """Id of an existing VPC, in which only security groups are created. It needs a route to S3 (a gateway endpoint)."""
    subnet_ids: Sequence[str]
    """Private subnets of the existing VPC, in two zones or more."""
    interface_endpoints: Sequence[str]
    """AWS services to reach without NAT, for instance `secretsmanager`; each costs about $7 a month in each zone. In
    China some are named otherwise than `com.amazonaws.<region>.<service>`: give the whole name, as
    `aws ec2 describe-vpc-endpoint-services` has it."""


NETWORK_DEFAULTS: NetworkSettings = {
    "zones": MIN_ZONES,
    "cidr_block": "10.42.0.0/16",
    "subnet_ids": [],
    "interface_endpoints": [],
}


class NetworkArgs(TypedDict):
    """A new private network, or an existing one."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[NetworkSettings]


class PlacementArgs(TypedDict):
    """The part of a network that a component's databases, functions and jobs are placed in."""

    vpc_id: pulumi.Input[str]
    """Id of the VPC, such as `vpc-0abc`."""
    subnet_ids: pulumi.Input[Sequence[str]]
    """Private subnets in two zones or more."""
    s3_client_security_group_id: pulumi.Input[str]
    """Members of this security group may open connections to S3."""


class Network(Component):
    """Private subnets that reach S3 and nothing else: there is no NAT gateway and no internet gateway."""

    vpc_id: pulumi.Output[str]
    subnet_ids: pulumi.Output[Sequence[str]]
    s3_client_security_group_id: pulumi.Output[str]
    """Members of this security group may open connections to S3."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = NETWORK_DEFAULTS | args.get("settings", {})
        existing_vpc, existing_subnets = settings.get("vpc_id"), settings["subnet_ids"]
        _check_existing(existing_vpc, existing_subnets)
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        if existing_vpc is not None:
            self.vpc_id = pulumi.Output.from_input(existing_vpc)
            self.subnet_ids = pulumi.Output.all(*existing_subnets)
        else:
            self.vpc_id, self.subnet_ids = self._create(name, settings, region)
        client, to_s3 = self._s3_client(name, region)
        ways = [to_s3, *self._interface_endpoints(name, settings["interface_endpoints"], region, client)]
        # The id resolves when the rules exist, so a member of the group reaches S3 from its start on.
        self.s3_client_security_group_id = pulumi.Output.all(client.id, *[way.id for way in ways]).apply(
            lambda made: str(made[0])
        )
        self.register_attributes()

    @property
    def placement(self) -> PlacementArgs:
        """The VPC and subnets, as components in this network take them."""
        return {
            "vpc_id": self.vpc_id,
            "subnet_ids": self.subnet_ids,
            "s3_client_security_group_id": self.s3_client_security_group_id,
        }

    def _create(
        self, name: str, settings: NetworkSettings, region: pulumi.Output[str]
    ) -> tuple[pulumi.Output[str], pulumi.Output[Sequence[str]]]:
        """Returns the ids of a new VPC and of its subnets."""
        zones = settings["zones"]
        if not MIN_ZONES <= zones <= MAX_ZONES:
            raise ValueError(f"Network: zones: expected {MIN_ZONES} or {MAX_ZONES}, got {zones}")
        block = _address_block(settings["cidr_block"])
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(block),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={**self.tags, "Name": name},
            opts=self.child,
        )
        # A VPC's default security group lets its members reach each other. Without rules it lets nothing through.
        aws.ec2.DefaultSecurityGroup(f"{name}-default-closed", vpc_id=vpc.id, tags=self.tags, opts=self.child)
        # An account may have opted in to Local Zones and Wavelength Zones, which are listed too but take no database.
        available = aws.get_availability_zones_output(
            state="available",
            filters=[{"name": "zone-type", "values": ["availability-zone"]}],
            opts=pulumi.InvokeOptions(parent=self),
        )
        routes = aws.ec2.RouteTable(f"{name}-routes", vpc_id=vpc.id, tags=self.tags, opts=self.child)
        subnets = []
        for index, subnet_block in zip(range(zones), block.subnets(SUBNET_BITS), strict=False):
            subnet = aws.ec2.Subnet(
                f"{name}-private-{index}",
                vpc_id=vpc.id,
                cidr_block=str(subnet_block),
                availability_zone=available.names.apply(partial(_zone, index)),
                map_public_ip_on_launch=False,
                tags={**self.tags, "Name": f"{name}-private-{index}"},
                opts=self.child,
            )
            association = aws.ec2.RouteTableAssociation(
                f"{name}-private-{index}", subnet_id=subnet.id, route_table_id=routes.id, opts=self.child
            )
            subnets.append(pulumi.Output.all(subnet.id, association.id).apply(lambda made: str(made[0])))
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=pulumi.Output.concat("com.amazonaws.", region, ".s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            tags=self.tags,
            opts=self.child,
        )
        # The ids resolve when the endpoint exists, so a function in the subnets reaches S3 from its start on.
        return vpc.id, pulumi.Output.all(*subnets, endpoint.id).apply(lambda made: list(made[:-1]))

    def _s3_client(self, name: str, region: pulumi.Output[str]) -> tuple[aws.ec2.SecurityGroup, pulumi.CustomResource]:
        group = aws.ec2.SecurityGroup(
            f"{name}-s3-client",
            vpc_id=self.vpc_id,
            description="May open connections to S3",
            tags=self.tags,
            opts=self.child,
        )
        s3 = aws.ec2.get_managed_prefix_list_output(
            name=pulumi.Output.concat("com.amazonaws.", region, ".s3"), opts=pulumi.InvokeOptions(parent=self)
        )
        rule = aws.vpc.SecurityGroupEgressRule(
            f"{name}-s3-client-to-s3",
            security_group_id=group.id,
            description="S3",
            prefix_list_id=s3.id,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            tags=self.tags,
            opts=self.child,
        )
        return group, rule

    def _interface_endpoints(
        self, name: str, services: Sequence[str], region: pulumi.Output[str], client: aws.ec2.SecurityGroup
    ) -> list[pulumi.CustomResource]:
        """Returns the endpoints, and the rules by which the members of the client's group reach them."""
        if not services:
            return []
        for service in services:
            check_text("Network", "interface_endpoints", service, r"[a-z0-9.-]+", "names such as secretsmanager")
        if len(set(services)) < len(services):
            raise ValueError(f"Network: interface_endpoints: expected each service once, got {', '.join(services)}")
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            vpc_id=self.vpc_id,
            description="Interface endpoints",
            tags=self.tags,
            opts=self.child,
        )
        rules = connect(self, f"{name}-endpoints", client.id, group.id, HTTPS_PORT, self.tags)
        endpoints = [
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=self.vpc_id,
                service_name=service
                if _is_whole_name(service)
                else pulumi.Output.concat("com.amazonaws.", region, f".{service}"),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.subnet_ids,
                security_group_ids=[group.id],
                tags=self.tags,
                opts=self.child,
            )
            for service in services
        ]
        return [*rules, *endpoints]


def _is_whole_name(service: str) -> bool:
    """True if an endpoint's service has the name that AWS lists, such as `cn.com.amazonaws.cn-north-1.sqs`."""
    return "com.amazonaws." in service


def _check_existing(vpc_id: str | None, subnet_ids: Sequence[str]) -> None:
    check_text("Network", "vpc_id", vpc_id, r"vpc-\w+", "an id such as vpc-0abc")
    for subnet_id in subnet_ids:
        check_text("Network", "subnet_ids", subnet_id, r"subnet-\w+", "ids such as subnet-0abc")
    if len(set(subnet_ids)) < len(subnet_ids):
        raise ValueError(f"Network: subnet_ids: expected different subnets, got {', '.join(subnet_ids)}")
    if subnet_ids and len(subnet_ids) < MIN_ZONES:
        raise ValueError(
            f"Network: subnet_ids: expected {MIN_ZONES} or more, in as many zones (RDS asks for them), "
            f"got {len(subnet_ids)}"
        )
    if (vpc_id is None) != (not subnet_ids):
        raise ValueError("Network: expected both vpc_id and subnet_ids of an existing VPC, got one of them")


def _address_block(text: str) -> ipaddress.IPv4Network:
    try:
        block = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"Network: cidr_block: expected IPv4 addresses such as 10.42.0.0/16: {error}") from None
    check_range("Network", "cidr_block: prefix length", block.prefixlen, VPC_PREFIX_LENGTHS)
    return block


def _zone(index: int, names: Sequence[str]) -> str:
    if index >= len(names):
        raise ValueError(f"Network: zones: expected at most {len(names)}, as many as the region has, got {index + 1}")
    return names[index]
