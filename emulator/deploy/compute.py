"""Functions and their logs, on MiniStack: the program's own zips, under the roles that it declares."""

import uuid
from typing import Any

from botocore.exceptions import ClientError

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, realises
from emulator.errors import LocalRunError
from emulator.permissions import role_may

LAMBDA_SERVICE = "lambda.amazonaws.com"


@realises("aws:cloudwatch/logGroup:LogGroup")
def log_group(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=512)
    logs = cloud.client("logs")
    key = {"kmsKeyId": resource["kmsKeyId"]} if resource.get("kmsKeyId") else {}
    logs.create_log_group(logGroupName=name, tags=resource.get("tags", {}), **key)
    logs.put_retention_policy(logGroupName=name, retentionInDays=int(resource["retentionInDays"]))
    return Realised(name, {"name": name, "arn": cloud.arn("logs", f"log-group:{name}")})


@realises("aws:cloudwatch/logStream:LogStream")
def log_stream(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=512)
    cloud.client("logs").create_log_stream(logGroupName=resource["logGroupName"], logStreamName=name)
    return Realised(name, {"name": name, "arn": cloud.arn("logs", f"log-group:{resource['logGroupName']}:{name}")})


@realises("aws:lambda/function:Function")
def function(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=64)
    act_as_lambda_does(cloud, resource, name)
    if resource.get("deadLetterConfig"):
        raise LocalRunError(f"{resource}: deadLetterConfig is not part of the local run: declare a failure destination")
    vpc = resource.get("vpcConfig")
    variables = dict(resource["environment"]["variables"]) | (cloud.reach(vpc) if vpc else {})
    made = cloud.client("lambda").create_function(
        FunctionName=name,
        Description=resource.get("description", ""),
        Runtime=resource["runtime"],
        Architectures=resource["architectures"],
        Handler=resource["handler"],
        Code={"S3Bucket": resource["s3Bucket"], "S3Key": resource["s3Key"]},
        Role=resource["role"],
        Timeout=int(resource["timeout"]),
        MemorySize=int(resource["memorySize"]),
        Environment={"Variables": variables},
        LoggingConfig={"LogFormat": "JSON", "LogGroup": resource["loggingConfig"]["logGroup"]},
        Publish=bool(resource.get("publish")),
        Tags=resource.get("tags", {}),
        **({"VpcConfig": {"SubnetIds": vpc["subnetIds"], "SecurityGroupIds": vpc["securityGroupIds"]}} if vpc else {}),
    )
    with cloud.lock:
        cloud.functions[name] = resource
    arn = cloud.arn("lambda", f"function:{name}")
    return Realised(name, {"name": name, "arn": arn, "version": made["Version"]})


def act_as_lambda_does(cloud: Cloud, resource: Resource, name: str) -> None:
    """Makes the calls that the Lambda service makes under the function's role, so that a missing permission shows.

    The emulator writes a function's logs itself, and attaches it to no network.
    """
    role = cloud.aws.role(resource["role"], LAMBDA_SERVICE, name)
    group = resource["loggingConfig"]["logGroup"]
    try:
        logs = role.client("logs")
        stream = f"deployment-{uuid.uuid4().hex}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": 0, "message": "The role of this function may write its log."}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        if vpc := resource.get("vpcConfig"):
            _check_addresses(cloud, resource)
            ec2 = role.client("ec2")
            for subnet in vpc["subnetIds"]:
                interface = ec2.create_network_interface(SubnetId=subnet, Groups=vpc["securityGroupIds"])
                interface_id = interface["NetworkInterface"]["NetworkInterfaceId"]
                ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])
                ec2.delete_network_interface(NetworkInterfaceId=interface_id)
    except ClientError as error:
        raise LocalRunError(f"{resource}: the Lambda service is refused under the function's role: {error}") from error


def _check_addresses(cloud: Cloud, resource: Resource) -> None:
    """Checks the calls for a VPC that MiniStack does not have. Raises `LocalRunError`."""
    actions = ("ec2:DescribeSubnets", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")
    lacking = [action for action in actions if not role_may(cloud.aws, resource["role"], action, "*")]
    if lacking:
        raise LocalRunError(f"{resource}: AccessDenied: its role may not {', '.join(lacking)}")


@realises("aws:lambda/alias:Alias")
def alias(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("lambda").create_alias(
        FunctionName=resource["functionName"], Name=resource["name"], FunctionVersion=resource["functionVersion"]
    )
    return Realised(made["AliasArn"], {"arn": made["AliasArn"]})


@realises("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def event_invoke_config(cloud: Cloud, resource: Resource) -> Realised:
    destinations = resource.get("destinationConfig", {})
    failure = destinations.get("onFailure", {}).get("destination")
    if destinations and (destinations.keys() != {"onFailure"} or failure.split(":")[2] != "sqs"):
        raise LocalRunError(f"{resource}: expected a queue as onFailure and no other destination, found {destinations}")
    given: dict[str, Any] = {"DestinationConfig": {"OnFailure": {"Destination": failure}}} if failure else {}
    if age := resource.get("maximumEventAgeInSeconds"):
        given["MaximumEventAgeInSeconds"] = int(age)
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName=resource["functionName"],
        Qualifier=resource["qualifier"],
        MaximumRetryAttempts=int(resource.get("maximumRetryAttempts", 2)),
        **given,
    )
    return Realised(f"{resource['functionName']}:{resource['qualifier']}")


@realises("aws:lambda/invocation:Invocation")
def invocation(cloud: Cloud, resource: Resource) -> Realised:
    answer = cloud.client("lambda").invoke(
        FunctionName=resource["functionName"], Qualifier=resource["qualifier"], Payload=resource["input"].encode()
    )
    result = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise LocalRunError(f"{resource}: the function failed: {result}")
    return Realised(resource.physical_name("id"), {"result": result})


@realises("aws:lambda/permission:Permission")
def permission(cloud: Cloud, resource: Resource) -> Realised:
    given = {
        "FunctionName": resource["function"],
        "StatementId": resource.physical_name("statementId"),
        "Action": resource["action"],
        "Principal": resource["principal"],
        "Qualifier": resource.get("qualifier"),
        "SourceArn": resource.get("sourceArn"),
        "SourceAccount": resource.get("sourceAccount"),
    }
    cloud.client("lambda").add_permission(**{key: value for key, value in given.items() if value is not None})
    return Realised(given["StatementId"])
