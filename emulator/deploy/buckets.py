"""Buckets and objects, on MiniStack's S3."""

from typing import Any

import pulumi

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, realises
from emulator.errors import LocalRunError


@realises("aws:s3/bucket:Bucket")
def bucket(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name("bucket")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    if resource.tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": resource.tags})
    return Realised(name, {"bucket": name, "arn": f"arn:aws:s3:::{name}"})


@realises("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access_block(cloud: Cloud, resource: Resource) -> Realised:
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    cloud.client("s3").put_public_access_block(
        Bucket=resource["bucket"],
        PublicAccessBlockConfiguration={key[0].upper() + key[1:]: resource.get(key, False) for key in keys},
    )
    return Realised(resource["bucket"])


@realises("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(cloud: Cloud, resource: Resource) -> Realised:
    rules = []
    for rule in resource["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        key = {"KMSMasterKeyID": default["kmsMasterKeyId"]} if default.get("kmsMasterKeyId") else {}
        rules.append({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": default["sseAlgorithm"], **key}})
    cloud.client("s3").put_bucket_encryption(
        Bucket=resource["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
    )
    return Realised(resource["bucket"])


@realises("aws:s3/bucketVersioning:BucketVersioning")
def versioning(cloud: Cloud, resource: Resource) -> Realised:
    status = resource["versioningConfiguration"]["status"]
    cloud.client("s3").put_bucket_versioning(Bucket=resource["bucket"], VersioningConfiguration={"Status": status})
    return Realised(resource["bucket"])


@realises("aws:s3/bucketPolicy:BucketPolicy")
def policy(cloud: Cloud, resource: Resource) -> Realised:
    cloud.client("s3").put_bucket_policy(Bucket=resource["bucket"], Policy=resource["policy"])
    return Realised(resource["bucket"])


@realises("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(cloud: Cloud, resource: Resource) -> Realised:
    rules: list[dict[str, Any]] = []
    for rule in resource["rules"]:
        translated: dict[str, Any] = {
            "ID": rule["id"],
            "Status": rule["status"],
            "Filter": {"Prefix": rule["filter"].get("prefix", "")},
        }
        if "expiration" in rule:
            translated["Expiration"] = {"Days": int(rule["expiration"]["days"])}
        if "noncurrentVersionExpiration" in rule:
            days = int(rule["noncurrentVersionExpiration"]["noncurrentDays"])
            translated["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
        if "abortIncompleteMultipartUpload" in rule:
            days = int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
            translated["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        rules.append(translated)
    cloud.client("s3").put_bucket_lifecycle_configuration(
        Bucket=resource["bucket"], LifecycleConfiguration={"Rules": rules}
    )
    return Realised(resource["bucket"])


@realises("aws:s3/bucketNotification:BucketNotification")
def notification(cloud: Cloud, resource: Resource) -> Realised:
    others = sorted(set(resource.inputs) & {"lambdaFunctions", "queues", "topics"})
    if others or not resource.get("eventbridge"):
        raise LocalRunError(f"{resource}: expected eventbridge alone, found {others or 'nothing to notify'}")
    cloud.client("s3").put_bucket_notification_configuration(
        Bucket=resource["bucket"], NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return Realised(resource["bucket"])


@realises("aws:s3/bucketObjectv2:BucketObjectv2")
def bucket_object(cloud: Cloud, resource: Resource) -> Realised:
    source = resource.get("source")
    if isinstance(source, pulumi.FileAsset):
        with open(source.path, "rb") as stream:  # noqa: PTH123  (the asset's own path)
            body = stream.read()
    elif resource.get("content") is not None:
        body = str(resource["content"]).encode()
    else:
        raise LocalRunError(f"{resource}: expected a FileAsset as source, or content, found {source!r}")
    encryption = {}
    if algorithm := resource.get("serverSideEncryption"):
        # S3 uses its own key if none is named; MiniStack needs the name.
        encryption = {"ServerSideEncryption": algorithm, "SSEKMSKeyId": resource.get("kmsKeyId", "alias/aws/s3")}
    put = cloud.client("s3").put_object(Bucket=resource["bucket"], Key=resource["key"], Body=body, **encryption)
    outputs = {"etag": put["ETag"].strip('"'), "versionId": put.get("VersionId", "")}
    return Realised(f"{resource['bucket']}/{resource['key']}", outputs)
