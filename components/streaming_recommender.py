"""Stream: events from Kinesis through Firehose and two functions to recommendations on S3."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.common import CommonArgs, Component
from components.event_source import event_source_link, map_event_source
from components.firehose import Source, deliver_to
from components.function import PythonFunction, WatchedFunction
from components.iam import Link, Statement
from components.live_changes import refusing, shards_by_half_or_double
from components.network import PlacementArgs
from components.private_bucket import BucketReference, PrivateBucket
from components.stream_settings import STREAM_DEFAULTS, Delivery, StreamingRecommenderSettings, check
from contracts.environment import EVENT_STREAM_NAME, MODEL_INFERENCE_FUNCTION, RECOMMENDATION_LIMIT

INFERENCE_TIMEOUT_SECONDS = 60
"""Inference's timeout is below the transformation's, so that the transformation can try again, or report the
timeout."""
TRANSFORMATION_TIMEOUT_SECONDS = 240
"""Firehose waits five minutes for an answer and drops one that comes later, so the function must be faster."""


class StreamingRecommenderArgs(TypedDict):
    """The stream's settings, the functions' network, and their access to the vector store."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[StreamingRecommenderSettings]
    placement: PlacementArgs
    store: Link
    """The vector store."""
    code: BucketReference
    """The bucket that the functions' code is uploaded to."""


class StreamingRecommender(Component):
    """Kinesis → Firehose → stream transformation → model inference → recommendations on S3."""

    event_stream_name: pulumi.Output[str]
    delivery_stream_name: pulumi.Output[str]
    recommendations_bucket: pulumi.Output[str]
    inference: WatchedFunction
    """Model inference, for alarms."""
    transformation: WatchedFunction
    """The stream transformation, for alarms."""

    def __init__(self, name: str, args: StreamingRecommenderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = STREAM_DEFAULTS | args.get("settings", {})
        check(settings)
        bucket = PrivateBucket(
            f"{name}-recommendations",
            {"common": self.common, "expire_days": settings.get("expire_days")},
            self.child,
        )
        stream = self._stream(name, settings)
        inference = self._inference(name, args, settings)
        to_inference = _to_inference(inference, settings)
        # Each way in has a function of its own: a stack that changes `delivery` keeps the old one until the new one
        # exists.
        if settings["delivery"] == Delivery.FIREHOSE_TRANSFORM:
            transformation = self._transformation(f"{name}-transformation", args, [to_inference])
            delivery = deliver_to(self, name, settings, bucket, Source(stream, transformation))
        else:
            delivery = deliver_to(self, name, settings, bucket, None)
            by_kinesis = event_source_link(stream, delivery, bucket, self.kms_key_arn)
            transformation = self._transformation(f"{name}-event-transformation", args, [to_inference, by_kinesis])
            map_event_source(
                f"{name}-event-source", stream, transformation.alias_arn, bucket.arn, self.tags, self.child
            )
        self.event_stream_name = stream.name
        self.delivery_stream_name = delivery.name
        self.recommendations_bucket = bucket.name
        self.producer_link = self._producer_link(stream)
        """Everything that a function needs to put events on the stream."""
        self.inference = inference.watched
        self.transformation = transformation.watched
        self.register_attributes()

    def _stream(self, name: str, settings: StreamingRecommenderSettings) -> aws.kinesis.Stream:
        shards = settings["shards"]
        return aws.kinesis.Stream(
            f"{name}-events",
            shard_count=shards or None,
            stream_mode_details={"stream_mode": "PROVISIONED" if shards else "ON_DEMAND"},
            retention_period=settings["stream_retention_hours"],
            encryption_type="KMS",
            kms_key_id=self.kms_key_arn or "alias/aws/kinesis",
            tags=self.tags,
            opts=pulumi.ResourceOptions.merge(
                self.keeping_data(), refusing(f"{name}-events", shards_by_half_or_double)
            ),
        )

    def _producer_link(self, stream: aws.kinesis.Stream) -> Link:
        statements: list[Statement] = [
            {"sid": "PutEvents", "actions": ["kinesis:PutRecords"], "resources": [stream.arn]}
        ]
        if self.kms_key_arn is not None:
            # Kinesis developer guide, "Permissions to use user-generated KMS keys": a producer needs no more.
            statements.append(
                {"sid": "EncryptEvents", "actions": ["kms:GenerateDataKey"], "resources": [self.kms_key_arn]}
            )
        return {"variables": {EVENT_STREAM_NAME: stream.name}, "statements": statements, "security_group_ids": []}

    def _inference(
        self, name: str, args: StreamingRecommenderArgs, settings: StreamingRecommenderSettings
    ) -> PythonFunction:
        return PythonFunction(
            f"{name}-inference",
            {
                "common": self.common,
                "label": "inference",
                "source": "model_inference",
                "description": "Recommends items for a batch of users with the active model version",
                "code_bucket": args["code"]["name"],
                "links": [args["store"]],
                "timeout_seconds": INFERENCE_TIMEOUT_SECONDS,
                "memory_mb": settings["inference_memory_mb"],
                "subnet_ids": args["placement"]["subnet_ids"],
                "security_group_ids": [args["placement"]["s3_client_security_group_id"]],
            },
            self.child,
        )

    def _transformation(self, name: str, args: StreamingRecommenderArgs, links: Sequence[Link]) -> PythonFunction:
        # Outside the VPC: without NAT, a function in it could not reach Lambda's API.
        return PythonFunction(
            name,
            {
                "common": self.common,
                "label": "transformation",
                "source": "stream_transformation",
                "description": "Turns a batch of events into recommendation records, with one inference call",
                "code_bucket": args["code"]["name"],
                "links": links,
                "timeout_seconds": TRANSFORMATION_TIMEOUT_SECONDS,
                "memory_mb": 512,
            },
            self.child,
        )


def _to_inference(inference: PythonFunction, settings: StreamingRecommenderSettings) -> Link:
    return {
        "variables": {
            MODEL_INFERENCE_FUNCTION: inference.alias_arn,
            RECOMMENDATION_LIMIT: str(settings["recommendation_limit"]),
        },
        "statements": [
            {"sid": "CallInference", "actions": ["lambda:InvokeFunction"], "resources": [inference.alias_arn]}
        ],
        "security_group_ids": [],
    }
