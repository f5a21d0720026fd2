"""Finds the AWS services that a subnet reaches: by the endpoints, routes and security groups that are declared.

Nothing runs in a subnet on this machine. So a process that would is given, in botocore's own variables, an address for
each service that its subnet reaches, and for all others a name that does not resolve.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import botocore.session

from emulator.deploy.resource import Resource

HTTPS_PORT = 443
ANYWHERE = "0.0.0.0/0"

_BOTO_NAMES = {"kinesis-streams": "kinesis", "kinesis-firehose": "firehose", "monitoring": "cloudwatch"}
"""Service names of endpoints that differ from boto3's."""


@dataclass
class Network:
    """The declared network. Ways out by NAT or an internet gateway are not modelled."""

    endpoints: list[Resource] = field(default_factory=list)
    associations: list[Resource] = field(default_factory=list)
    """Associations of subnets with route tables."""
    egress: list[Resource] = field(default_factory=list)
    ingress: list[Resource] = field(default_factory=list)
    """Rules of security groups."""
    vpcs: dict[str, str] = field(default_factory=dict)
    """Subnet → its VPC."""
    prefix_lists: dict[str, str] = field(default_factory=dict)
    """Id → name, such as `com.amazonaws.eu-west-1.s3`."""

    def environment(self, subnets: Collection[str], groups: Collection[str], url: str) -> dict[str, str]:
        """Returns the variables for a process in these subnets and security groups; AWS answers at `url`."""
        reached = {str(entry["serviceName"]) for entry in self.endpoints if self._reaches(entry, subnets, groups)}
        nowhere = f"https://no-endpoint-for-this-service-in.{min(subnets)}.invalid"
        return {"AWS_ENDPOINT_URL": nowhere} | {_variable(service): url for service in reached}

    def _reaches(self, endpoint: Resource, subnets: Collection[str], groups: Collection[str]) -> bool:
        if endpoint["vpcEndpointType"] == "Gateway":
            tables = endpoint.get("routeTableIds", [])
            routed = {entry["subnetId"] for entry in self.associations if entry["routeTableId"] in tables}
            lists = {id_ for id_, name in self.prefix_lists.items() if name == endpoint["serviceName"]}
            return set(subnets) <= routed and _opens(self.egress, groups, "prefixListId", lists)
        servers = endpoint.get("securityGroupIds", [])
        # An interface endpoint with private DNS answers in its whole VPC.
        in_vpc = all(self.vpcs.get(subnet) == endpoint["vpcId"] for subnet in subnets)
        out = _opens(self.egress, groups, "referencedSecurityGroupId", servers)
        into = _opens(self.ingress, servers, "referencedSecurityGroupId", groups)
        return in_vpc and bool(endpoint.get("privateDnsEnabled")) and out and into


def _opens(rules: Iterable[Resource], groups: Collection[str], peer: str, peers: Collection[str]) -> bool:
    """Returns True if a rule of one of the groups allows HTTPS to one of the peers or to everybody."""
    return any(
        rule["securityGroupId"] in groups
        and (rule.get(peer) in peers or rule.get("cidrIpv4") == ANYWHERE)
        and _has_https(rule.inputs)
        for rule in rules
    )


def _has_https(rule: Mapping[str, object]) -> bool:
    return rule["ipProtocol"] == "-1" or float(str(rule["fromPort"])) <= HTTPS_PORT <= float(str(rule["toPort"]))


def _variable(service_name: str) -> str:
    """`com.amazonaws.eu-west-1.secretsmanager` → `AWS_ENDPOINT_URL_SECRETS_MANAGER`.

    (AWS SDKs and Tools Reference Guide, "Service-specific endpoints".)
    """
    service = service_name.removeprefix("com.amazonaws.").split(".", 1)[1]
    model = botocore.session.get_session().get_service_model(_BOTO_NAMES.get(service, service))
    return f"AWS_ENDPOINT_URL_{model.service_id.upper().replace(' ', '_')}"
