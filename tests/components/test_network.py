"""The private network, and an existing one."""

import pulumi
import pulumi_aws as aws

from components import Network, NetworkSettings
from local.graph.recorder import build


def test_subnets_are_private_in_zones_of_their_own_and_reach_nothing_but_s3() -> None:
    graph = build(lambda: Network("net", {"settings": {"zones": 3}}))
    subnets = [node.inputs for node in graph.of("Subnet")]
    assert {subnet["availabilityZone"] for subnet in subnets} == {"eu-west-1a", "eu-west-1b", "eu-west-1c"}
    assert {subnet["mapPublicIpOnLaunch"] for subnet in subnets} == {False}
    assert graph.one("VpcEndpoint").inputs["vpcEndpointType"] == "Gateway"
    assert not graph.of("NatGateway") + graph.of("InternetGateway") + graph.of("Route")


def test_security_groups_have_no_inline_rules_and_each_rule_one_peer() -> None:
    graph = build(lambda: Network("net", {"settings": {"interface_endpoints": ["secretsmanager"]}}))
    for group in graph.of("SecurityGroup"):
        assert not {"ingress", "egress"} & set(group.inputs), group.name
    rules = graph.of("SecurityGroupEgressRule") + graph.of("SecurityGroupIngressRule")
    assert rules
    for rule in rules:
        peers = {"referencedSecurityGroupId", "prefixListId", "cidrIpv4"} & set(rule.inputs)
        assert len(peers) == 1, rule.name


def test_in_an_existing_vpc_nothing_is_made_but_security_groups() -> None:
    existing: NetworkSettings = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"]}
    graph = build(lambda: Network("net", {"settings": existing}))
    made = {node.type.rsplit(":", 1)[1] for node in graph.nodes if node.custom}
    assert made == {"SecurityGroup", "SecurityGroupEgressRule"}
    assert graph.one("SecurityGroup").inputs["vpcId"] == "vpc-1"


def test_look_ups_go_through_the_explicit_provider_of_the_component() -> None:
    def program() -> None:
        provider = aws.Provider("elsewhere", region="eu-west-1")
        Network("net", {}, pulumi.ResourceOptions(providers=[provider]))

    graph = build(program)
    assert graph.calls
    assert all("elsewhere" in call.provider for call in graph.calls)
