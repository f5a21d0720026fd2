"""The alarm topic on MiniStack. Alarms and dashboards have no local effect: only AWS's own services emit their
metrics."""

from emulator.deploy.cloud import Cloud
from emulator.deploy.resource import Realised, Resource, no_local_effect, realises

no_local_effect("aws:cloudwatch/metricAlarm:MetricAlarm", "it watches metrics of AWS's services")
no_local_effect("aws:cloudwatch/dashboard:Dashboard", "it shows metrics of AWS's services")
no_local_effect("aws:sns/topicSubscription:TopicSubscription", "no mail leaves this machine")


@realises("aws:sns/topic:Topic")
def topic(cloud: Cloud, resource: Resource) -> Realised:
    name = resource.physical_name(limit=256)
    attributes = {"KmsMasterKeyId": resource["kmsMasterKeyId"]} if resource.get("kmsMasterKeyId") else {}
    arn = cloud.client("sns").create_topic(Name=name, Tags=resource.tags, Attributes=attributes)["TopicArn"]
    return Realised(arn, {"name": name, "arn": arn})


@realises("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(cloud: Cloud, resource: Resource) -> Realised:
    cloud.client("sns").set_topic_attributes(
        TopicArn=resource["arn"], AttributeName="Policy", AttributeValue=resource["policy"]
    )
    return Realised(resource["arn"])
