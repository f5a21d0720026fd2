"""The network on MiniStack's EC2. Nothing runs in it, but it decides which services are reached (`emulator.reach`)."""

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, realises


@realises("aws:ec2/vpc:Vpc")
def vpc(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").create_vpc(CidrBlock=resource["cidrBlock"])["Vpc"]
    return Realised(made["VpcId"], {"arn": cloud.arn("ec2", f"vpc/{made['VpcId']}")})


@realises("aws:ec2/subnet:Subnet")
def subnet(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").create_subnet(
        VpcId=resource["vpcId"], CidrBlock=resource["cidrBlock"], AvailabilityZone=resource["availabilityZone"]
    )["Subnet"]
    with cloud.lock:
        cloud.network.vpcs[made["SubnetId"]] = resource["vpcId"]
    return Realised(made["SubnetId"], {"arn": cloud.arn("ec2", f"subnet/{made['SubnetId']}")})


@realises("aws:ec2/routeTable:RouteTable")
def route_table(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").create_route_table(VpcId=resource["vpcId"])["RouteTable"]
    return Realised(made["RouteTableId"])


@realises("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").associate_route_table(
        SubnetId=resource["subnetId"], RouteTableId=resource["routeTableId"]
    )
    with cloud.lock:
        cloud.network.associations.append(resource)
    return Realised(made["AssociationId"])


@realises("aws:ec2/vpcEndpoint:VpcEndpoint")
def vpc_endpoint(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").create_vpc_endpoint(
        VpcId=resource["vpcId"],
        ServiceName=resource["serviceName"],
        VpcEndpointType=resource["vpcEndpointType"],
        RouteTableIds=resource.get("routeTableIds", []),
        SubnetIds=resource.get("subnetIds", []),
        SecurityGroupIds=resource.get("securityGroupIds", []),
    )["VpcEndpoint"]
    with cloud.lock:
        cloud.network.endpoints.append(resource)
    return Realised(made["VpcEndpointId"])


@realises("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
def default_security_group(cloud: Cloud, resource: Resource) -> Realised:
    ec2 = cloud.client("ec2")
    filters = [
        {"Name": "vpc-id", "Values": [resource["vpcId"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]
    _remove_rules(cloud, group["GroupId"])
    return Realised(group["GroupId"])


@realises("aws:ec2/securityGroup:SecurityGroup")
def security_group(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("ec2").create_security_group(
        GroupName=resource.physical_name(), Description=resource["description"], VpcId=resource["vpcId"]
    )
    # AWS gives a new group a rule that allows all egress; the provider removes it.
    _remove_rules(cloud, made["GroupId"])
    return Realised(made["GroupId"], {"arn": cloud.arn("ec2", f"security-group/{made['GroupId']}")})


@realises("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def ingress_rule(cloud: Cloud, resource: Resource) -> Realised:
    cloud.client("ec2").authorize_security_group_ingress(
        GroupId=resource["securityGroupId"], IpPermissions=[_permission(resource)]
    )
    with cloud.lock:
        cloud.network.ingress.append(resource)
    return Realised(f"sgr-{resource.name}")


@realises("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def egress_rule(cloud: Cloud, resource: Resource) -> Realised:
    cloud.client("ec2").authorize_security_group_egress(
        GroupId=resource["securityGroupId"], IpPermissions=[_permission(resource)]
    )
    with cloud.lock:
        cloud.network.egress.append(resource)
    return Realised(f"sgr-{resource.name}")


def _permission(resource: Resource) -> dict[str, object]:
    permission: dict[str, object] = {
        "IpProtocol": resource["ipProtocol"],
        "FromPort": int(resource["fromPort"]),
        "ToPort": int(resource["toPort"]),
    }
    if resource.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": resource["referencedSecurityGroupId"]}]
    elif resource.get("prefixListId"):
        permission["PrefixListIds"] = [{"PrefixListId": resource["prefixListId"]}]
    else:
        permission["IpRanges"] = [{"CidrIp": resource["cidrIpv4"]}]
    return permission


def _remove_rules(cloud: Cloud, group_id: str) -> None:
    ec2 = cloud.client("ec2")
    group = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
