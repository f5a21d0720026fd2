"""A subnet reaches services by endpoints, route tables and security groups."""

from pathlib import Path
from typing import Any

import pytest

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Resource
from emulator.reach import Network
from tests.emulator.aws import Aws, allow

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


def test_a_function_in_a_subnet_calls_what_the_subnet_reaches_and_nothing_else(
    aws: Aws, network: Network, tmp_path: Path
) -> None:
    bucket, queue = aws.bucket(), aws.client("sqs").create_queue(QueueName="out-of-reach")["QueueUrl"]
    cloud = Cloud(tmp_path, aws.ministack, network=network)
    variables = cloud.reach({"subnetIds": ["subnet"], "securityGroupIds": ["client"]})
    alias = aws.function(
        f"""
        import boto3
        from botocore.config import Config

        once = Config(retries={{"total_max_attempts": 1}})

        def handler(event, context):
            boto3.client("s3", config=once).list_objects_v2(Bucket="{bucket}")
            try:
                boto3.client("sqs", config=once).send_message(QueueUrl="{queue}", MessageBody="out")
            except Exception as error:
                return str(error)
        """,
        allow(["s3:ListBucket", "sqs:SendMessage"], "*"),
        Environment={"Variables": variables},
    )
    answer = aws.client("lambda").invoke(FunctionName=alias)["Payload"].read().decode()
    assert "no-endpoint-for-this-service-in.subnet.invalid" in answer
