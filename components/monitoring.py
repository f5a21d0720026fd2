"""Monitoring: one topic, an alarm for each way in which the system fails, and one dashboard that follows a record's
way."""

import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.alarms import (
    PERIOD_SECONDS,
    THROTTLED,
    Alarm,
    api_alarms,
    catalogue_alarms,
    database_alarms,
    function_alarms,
    max_connections,
    stream_alarms,
    version_alarms,
)
from components.catalog_refresh import WatchedRefresh
from components.common import CommonArgs, Component, check_range, check_text
from components.function import WatchedFunction
from components.recommendation_api import WatchedApi
from components.vector_store import WatchedDatabase
from contracts.metrics import NAMESPACE

DASHBOARD_NAME_LENGTH = 255


class MonitoringSettings(TypedDict, total=False):
    """Settings of the monitoring, as given under `recommender:monitoring` in the stack's configuration."""

    email: str
    """The e-mail address that alarms are sent to. Default: none; subscribe to the topic yourself."""
    database_max_connections: int
    """The connections that the database allows, for the alarm. Default: computed from the instance class, as RDS
    does."""


class MonitoringArgs(TypedDict):
    """The resources to watch, by the physical names that the other components output."""

    common: NotRequired[CommonArgs]
    settings: NotRequired[MonitoringSettings]
    event_stream_name: pulumi.Input[str]
    delivery_stream_name: pulumi.Input[str]
    functions: Sequence[WatchedFunction]
    api: WatchedApi
    catalogue: WatchedRefresh
    dead_letter_queue_name: pulumi.Input[str]
    database: WatchedDatabase
    glue_job_name: pulumi.Input[str]


class Monitoring(Component):
    """Alarms, the SNS topic that they notify, and a dashboard."""

    topic_arn: pulumi.Output[str]
    dashboard_name: pulumi.Output[str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.get("common", {}), opts)
        settings = args.get("settings", {})
        email = settings.get("email")
        check_text("Monitoring", "email", email, r"[^@\s]+@[^@\s]+\.[^@\s]+", "an address")
        connections = (
            settings["database_max_connections"]
            if "database_max_connections" in settings
            else max_connections(args["database"]["instance_class"])
        )
        check_range("Monitoring", "database_max_connections", connections, (1, 262_143))
        topic = self._topic(name, email)
        alarms = [
            *stream_alarms(args["event_stream_name"], args["delivery_stream_name"]),
            *(alarm for function in args["functions"] for alarm in function_alarms(function)),
            *version_alarms(args["dead_letter_queue_name"]),
            *api_alarms(args["api"]),
            *catalogue_alarms(args["catalogue"]),
            *database_alarms(args["database"], connections),
        ]
        for alarm in alarms:
            self._alarm(name, alarm, topic)
        self._count_throttled(name, args["api"])
        self._glue_failure(name, args, topic)
        self.topic_arn = topic.arn
        self.dashboard_name = self._dashboard(name, args).dashboard_name
        self.register_attributes()

    def _topic(self, name: str, email: str | None) -> aws.sns.Topic:
        # Under SNS's own managed key, EventBridge and CloudWatch could not publish: the key's policy cannot be changed.
        topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=self.kms_key_arn, tags=self.tags, opts=self.child)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        aws.sns.TopicPolicy(
            f"{name}-alarms",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "AlarmsOfThisAccount",
                            "Effect": "Allow",
                            "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                        },
                        {
                            # Without conditions: EventBridge takes none in a topic's policy, and drops the event
                            # (EventBridge User Guide, "Using resource-based policies": Amazon SNS permissions).
                            "Sid": "Events",
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                        },
                    ],
                }
            ),
            opts=self.child,
        )
        if email is not None:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=email, opts=self.child
            )
        return topic

    def _alarm(self, name: str, alarm: Alarm, topic: aws.sns.Topic) -> None:
        namespace, _, metric = alarm.metric.partition(" ")
        is_percentile = alarm.statistic.startswith("p")
        aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.name}",
            alarm_description=alarm.why,
            namespace=namespace,
            metric_name=metric,
            dimensions=alarm.dimensions,
            statistic=None if is_percentile else alarm.statistic,
            extended_statistic=alarm.statistic if is_percentile else None,
            period=PERIOD_SECONDS,
            evaluation_periods=alarm.periods,
            comparison_operator="GreaterThanThreshold" if alarm.above is not None else "LessThanThreshold",
            threshold=alarm.above if alarm.above is not None else alarm.below,
            treat_missing_data=alarm.without_data,
            alarm_actions=[topic.arn],
            ok_actions=[topic.arn],
            tags=self.tags,
            opts=self.child,
        )

    def _count_throttled(self, name: str, api: WatchedApi) -> None:
        # API Gateway counts what it throttles among all errors of callers.
        aws.cloudwatch.LogMetricFilter(
            f"{name}-api-throttled",
            log_group_name=api["access_log_name"],
            pattern='{ $.status = "429" }',
            metric_transformation={"namespace": NAMESPACE, "name": THROTTLED, "value": "1"},
            opts=self.child,
        )

    def _glue_failure(self, name: str, args: MonitoringArgs, topic: aws.sns.Topic) -> None:
        # Glue has metrics only while a job runs; a change of its state is an event.
        rule = aws.cloudwatch.EventRule(
            f"{name}-glue-failure",
            description="The Glue job failed or timed out: the training data that was there stays served",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.glue"],
                    "detail-type": ["Glue Job State Change"],
                    "detail": {"jobName": [args["glue_job_name"]], "state": ["FAILED", "TIMEOUT", "ERROR"]},
                }
            ),
            tags=self.tags,
            opts=self.child,
        )
        aws.cloudwatch.EventTarget(f"{name}-glue-failure", rule=rule.name, arn=topic.arn, opts=self.child)

    def _dashboard(self, name: str, args: MonitoringArgs) -> aws.cloudwatch.Dashboard:
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        stream = ["StreamName", args["event_stream_name"]]
        delivery = ["DeliveryStreamName", args["delivery_stream_name"]]
        database = ["DBInstanceIdentifier", args["database"]["identifier"]]
        lambdas = [["FunctionName", function["name"]] for function in args["functions"]]
        rows: list[tuple[str, str, list[list[pulumi.Input[str]]]]] = [
            ("1 · events come in", "Sum", [["AWS/Kinesis", "IncomingRecords", *stream]]),
            ("2 · they wait (ms)", "Maximum", [["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", *stream]]),
            ("3 · functions run (ms)", "Maximum", [["AWS/Lambda", "Duration", *function] for function in lambdas]),
            ("4 · and fail", "Sum", [["AWS/Lambda", "Errors", *function] for function in lambdas]),
            ("5 · vectors are asked (CPU %)", "Maximum", [["AWS/RDS", "CPUUtilization", *database]]),
            ("6 · connections", "Maximum", [["AWS/RDS", "DatabaseConnections", *database]]),
            ("7 · recommendations arrive", "Sum", [["AWS/Firehose", "DeliveryToS3.Records", *delivery]]),
            ("8 · their age (s)", "Maximum", [["AWS/Firehose", "DeliveryToS3.DataFreshness", *delivery]]),
            ("9 · the API is asked", "Sum", [["AWS/ApiGateway", "Count", "ApiId", args["api"]["id"]]]),
            ("10 · its latency (ms)", "p99", [["AWS/ApiGateway", "Latency", "ApiId", args["api"]["id"]]]),
        ]
        widgets = [
            {
                "type": "metric",
                "x": index % 2 * 12,
                "y": index // 2 * 6,
                "width": 12,
                "height": 6,
                "properties": {"title": title, "metrics": metrics, "region": region, "stat": statistic, "period": 60},
            }
            for index, (title, statistic, metrics) in enumerate(rows)
        ]
        return aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=self._dashboard_name(name),
            dashboard_body=pulumi.Output.json_dumps({"widgets": widgets}),
            opts=self.child,
        )

    def _dashboard_name(self, name: str) -> pulumi.Output[str]:
        """Returns a name that no other stack has. Dashboards belong to the whole account, and a second one of the same
        name would replace the first without an error (CloudWatch API Reference, PutDashboard)."""
        suffix = random.RandomId(f"{name}-dashboard", byte_length=4, opts=self.child)
        readable = re.sub(r"[^A-Za-z0-9_-]", "-", f"{pulumi.get_project()}-{pulumi.get_stack()}")
        return pulumi.Output.concat(readable[: DASHBOARD_NAME_LENGTH - 9], "-", suffix.hex)
