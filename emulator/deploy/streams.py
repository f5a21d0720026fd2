"""Streams and queues on MiniStack, and the resources that the run itself carries out: delivery streams, event
rules and schedules."""

import time

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, realises
from emulator.errors import LocalRunError
from emulator.schedules import read_schedule

_ACTIVE_SECONDS = 30


@realises("aws:kinesis/stream:Stream")
def stream(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=128)
    kinesis = cloud.client("kinesis")
    mode = resource["streamModeDetails"]["streamMode"]
    shards = {"ShardCount": int(resource["shardCount"])} if mode == "PROVISIONED" else {}
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": mode}, **shards)
    for _ in range(_ACTIVE_SECONDS * 20):
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            break
        time.sleep(0.05)
    else:
        raise LocalRunError(f"{resource}: not active after {_ACTIVE_SECONDS} s")
    if resource.get("encryptionType") == "KMS":
        kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=resource["kmsKeyId"])
    if (hours := int(resource.get("retentionPeriod", 24))) > summary["RetentionPeriodHours"]:
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)
    return Realised(summary["StreamARN"], {"name": name, "arn": summary["StreamARN"]})


@realises("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def delivery_stream(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=64)
    with cloud.lock:
        cloud.delivery_streams[name] = {**resource.inputs, "name": name}
    return Realised(name, {"name": name, "arn": cloud.arn("firehose", f"deliverystream/{name}")})


@realises("aws:lambda/eventSourceMapping:EventSourceMapping")
def event_source(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name("uuid")
    with cloud.lock:
        cloud.event_sources[name] = resource.inputs
    return Realised(name, {"uuid": name})


@realises("aws:cloudwatch/eventRule:EventRule")
def event_rule(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name()
    with cloud.lock:
        arn = cloud.event_rules.add_rule({**resource.inputs, "name": name})
    return Realised(name, {"name": name, "arn": arn})


@realises("aws:cloudwatch/eventTarget:EventTarget")
def event_target(cloud: Cloud, resource: Resource) -> Realised:
    with cloud.lock:
        cloud.event_rules.add_target(resource.inputs)
    return Realised(f"{resource['rule']}-{resource.physical_name('targetId')}")


@realises("aws:scheduler/schedule:Schedule")
def schedule(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=64)
    arn = cloud.arn("scheduler", f"schedule/default/{name}")
    with cloud.lock:
        cloud.schedules.add(read_schedule(name, arn, resource.inputs))
    return Realised(name, {"name": name, "arn": arn})


@realises("aws:sqs/queue:Queue")
def queue(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=80)
    attributes = {"MessageRetentionPeriod": str(int(resource.get("messageRetentionSeconds", 345_600)))}
    if resource.get("kmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = resource["kmsMasterKeyId"]
    url = cloud.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=resource.get("tags", {}))
    return Realised(url["QueueUrl"], {"name": name, "url": url["QueueUrl"], "arn": cloud.arn("sqs", name)})


@realises("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(cloud: Cloud, resource: Resource) -> Realised:
    cloud.client("sqs").set_queue_attributes(QueueUrl=resource["queueUrl"], Attributes={"Policy": resource["policy"]})
    return Realised(resource["queueUrl"])
