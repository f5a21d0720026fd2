"""Buckets that are private, encrypted, versioned and reached over TLS only."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component, check_name

MAX_BUCKET_NAME = 63
"""S3's general purpose bucket naming rules."""

NONCURRENT_DAYS = 30
"""Days that replaced or deleted versions of objects are kept."""


class PrivateBucketArgs(TypedDict):
    """Settings of a bucket. Encryption, the block of public access, TLS and versions cannot be turned off."""

    common: NotRequired[CommonArgs]
    holds_data: NotRequired[bool]
    """False lets a bucket be deleted with its objects whatever `force_destroy` says. Default: true."""
    expire_days: NotRequired[int | None]
    """Days after which objects are deleted. Default: never."""
    expire_prefix: NotRequired[str]
    """The prefix of the objects that `expire_days` deletes. Default: all objects."""
    notify_event_bridge: NotRequired[bool]
    """True sends the bucket's events to EventBridge. Default: false."""


class BucketReference(TypedDict):
    """A bucket, for a component that puts objects into it."""

    name: pulumi.Input[str]
    """Such as `code-bucket-0a1b2c3`."""
    arn: pulumi.Input[str]
    """Such as `arn:aws:s3:::code-bucket-0a1b2c3`."""


class PrivateBucket(Component):
    """An S3 bucket that is private, encrypted, versioned and reached over TLS only."""

    name: pulumi.Output[str]
    """The bucket's name. It resolves when the bucket's policy and encryption are in force."""
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        check_name("PrivateBucket", f"{name}-bucket", MAX_BUCKET_NAME)
        holds_data = args.get("holds_data", True)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            force_destroy=self.stack["force_destroy"] or not holds_data,
            tags=self.tags,
            opts=self.keeping_data() if holds_data else self.child,
        )
        # They are deleted with the bucket, not before it: a bucket whose deletion is refused because it is full keeps
        # them.
        guard = pulumi.ResourceOptions(parent=self, deleted_with=bucket)
        guards = [
            self._block_public_access(name, bucket, guard).id,
            self._encrypt(name, bucket, guard).id,
            self._require_tls(name, bucket, guard).id,
        ]
        self._version_and_expire(name, args, bucket, guard)
        if args.get("notify_event_bridge"):
            aws.s3.BucketNotification(f"{name}-events", bucket=bucket.id, eventbridge=True, opts=guard)
        self.name = pulumi.Output.all(bucket.id, *guards).apply(lambda made: made[0])
        self.arn = bucket.arn
        self.register_attributes()

    @property
    def reference(self) -> BucketReference:
        """The bucket's name and ARN together."""
        return {"name": self.name, "arn": self.arn}

    def _block_public_access(
        self, name: str, bucket: aws.s3.Bucket, guard: pulumi.ResourceOptions
    ) -> aws.s3.BucketPublicAccessBlock:
        return aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=guard,
        )

    def _encrypt(
        self, name: str, bucket: aws.s3.Bucket, guard: pulumi.ResourceOptions
    ) -> aws.s3.BucketServerSideEncryptionConfiguration:
        return aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": (
                        {"sse_algorithm": "AES256"}
                        if self.kms_key_arn is None
                        else {"sse_algorithm": "aws:kms", "kms_master_key_id": self.kms_key_arn}
                    ),
                    # One data key for the bucket instead of one for each object: far fewer paid calls of KMS.
                    "bucket_key_enabled": self.kms_key_arn is not None,
                }
            ],
            opts=guard,
        )

    def _require_tls(self, name: str, bucket: aws.s3.Bucket, guard: pulumi.ResourceOptions) -> aws.s3.BucketPolicy:
        policy = pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            }
        )
        return aws.s3.BucketPolicy(f"{name}-tls-only", bucket=bucket.id, policy=policy, opts=guard)

    def _version_and_expire(
        self, name: str, args: PrivateBucketArgs, bucket: aws.s3.Bucket, guard: pulumi.ResourceOptions
    ) -> None:
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=guard,
        )
        rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
            {
                "id": "replaced-versions",
                "status": "Enabled",
                "filter": {},
                "noncurrent_version_expiration": {"noncurrent_days": NONCURRENT_DAYS},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ]
        if (days := args.get("expire_days")) is not None:
            rules.append(
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": args.get("expire_prefix", "")},
                    "expiration": {"days": days},
                }
            )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=rules,
            # S3 refuses a rule on noncurrent versions until versioning is on.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning], deleted_with=bucket),
        )
