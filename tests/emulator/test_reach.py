"""What a subnet reaches: by endpoints, route tables and security groups."""

from typing import Any

import pytest

from emulator.deploy.resource import Resource
from emulator.reach import Network

URL = "https://127.0.0.1:1"


def resource(**inputs: Any) -> Resource:
    return Resource("aws:ec2/network:Network", "n", inputs)


def rule(group: str, port: float = 443, **peer: str) -> Resource:
    return resource(securityGroupId=group, ipProtocol="tcp", fromPort=float(port), toPort=float(port), **peer)


def interface(service: str, **more: Any) -> Resource:
    given = {"vpcEndpointType": "Interface", "vpcId": "vpc", "securityGroupIds": ["server"], "privateDnsEnabled": True}
    return resource(serviceName=f"com.amazonaws.eu-west-1.{service}", **{**given, **more})


S3 = resource(
    serviceName="com.amazonaws.eu-west-1.s3", vpcId="vpc", vpcEndpointType="Gateway", routeTableIds=["routes"]
)


@pytest.fixture
def network() -> Network:
    """A subnet with a gateway endpoint for S3, and a security group that is let out to it."""
    return Network(
        endpoints=[S3],
        associations=[resource(subnetId="subnet", routeTableId="routes")],
        egress=[rule("client", prefixListId="pl-s3")],
        vpcs={"subnet": "vpc"},
        prefix_lists={"pl-s3": "com.amazonaws.eu-west-1.s3"},
    )


def reached(network: Network, *subnets: str) -> set[str]:
    variables = network.environment(subnets or ["subnet"], ["client"], URL)
    assert variables.pop("AWS_ENDPOINT_URL") == "https://no-endpoint-for-this-service-in.subnet.invalid"
    assert set(variables.values()) <= {URL}
    return {name.removeprefix("AWS_ENDPOINT_URL_") for name in variables}


def test_a_gateway_is_reached_by_its_route_and_a_rule_that_lets_out_to_it(network: Network) -> None:
    assert reached(network) == {"S3"}
    assert reached(network, "subnet", "subnet-without-the-route") == set()
    network.egress[:] = [rule("client", 80, prefixListId="pl-s3"), rule("another", prefixListId="pl-s3")]
    assert reached(network) == set()
    network.egress[:] = [rule("client", cidrIpv4="0.0.0.0/0")]
    assert reached(network) == {"S3"}
    network.endpoints.clear()
    assert reached(network) == set()


def test_an_interface_endpoint_is_reached_where_both_security_groups_say_so(network: Network) -> None:
    network.endpoints[:] = [interface("secretsmanager"), interface("kinesis-streams"), interface("monitoring")]
    assert reached(network) == set()
    network.egress.append(rule("client", referencedSecurityGroupId="server"))
    assert reached(network) == set()
    network.ingress.append(rule("server", referencedSecurityGroupId="client"))
    assert reached(network) == {"SECRETS_MANAGER", "KINESIS", "CLOUDWATCH"}
    network.endpoints[:] = [interface("sqs", privateDnsEnabled=False), interface("sns", vpcId="another")]
    assert reached(network) == set()
