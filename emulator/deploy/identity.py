"""Roles, secrets and random values."""

import json
import secrets
import string

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, realises


@realises("aws:iam/role:Role")
def role(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=64)
    made = cloud.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=resource["assumeRolePolicy"], Tags=resource.tags
    )["Role"]
    return Realised(name, {"name": name, "arn": made["Arn"]})


@realises("aws:iam/rolePolicy:RolePolicy")
def role_policy(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=64)
    json.loads(resource["policy"])
    cloud.client("iam").put_role_policy(RoleName=resource["role"], PolicyName=name, PolicyDocument=resource["policy"])
    return Realised(f"{resource['role']}:{name}", {"name": name})


@realises("aws:secretsmanager/secret:Secret")
def secret(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("secretsmanager").create_secret(
        Name=resource.physical_name(), Description=resource.get("description", ""), Tags=resource.tags
    )
    return Realised(made["ARN"], {"arn": made["ARN"], "name": made["Name"]})


@realises("aws:secretsmanager/secretVersion:SecretVersion")
def secret_version(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("secretsmanager").put_secret_value(
        SecretId=resource["secretId"], SecretString=resource["secretString"]
    )
    return Realised(f"{made['ARN']}|{made['VersionId']}", {"arn": made["ARN"], "versionId": made["VersionId"]})


@realises("aws:kms/key:Key")
def key(cloud: Cloud, resource: Resource) -> Realised:
    made = cloud.client("kms").create_key(Description=resource["description"], Policy=resource["policy"])
    if resource.get("enableKeyRotation"):
        cloud.client("kms").enable_key_rotation(KeyId=made["KeyMetadata"]["KeyId"])
    return Realised(made["KeyMetadata"]["KeyId"], {"arn": made["KeyMetadata"]["Arn"]})


@realises("random:index/randomPassword:RandomPassword")
def random_password(_: Cloud, resource: Resource) -> Realised:
    alphabet = string.ascii_letters + string.digits
    return Realised("none", {"result": "".join(secrets.choice(alphabet) for _ in range(int(resource["length"])))})


@realises("random:index/randomId:RandomId")
def random_id(_: Cloud, resource: Resource) -> Realised:
    value = secrets.token_hex(int(resource["byteLength"]))
    return Realised(value, {"hex": value})
