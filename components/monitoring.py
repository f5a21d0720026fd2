"""Watching the system: one topic, an alarm for each way in which it fails, one dashboard along a record's way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, Component, check_range, check_text
from components.function import WatchedFunction
from components.vector_store import WatchedDatabase

GIB = 1024**3
BYTES_A_CONNECTION = 9_531_392
MAX_CONNECTIONS = 5000
"""PostgreSQL's `max_connections` on RDS: `LEAST({DBInstanceClassMemory/9531392},5000)` (RDS User Guide, "Quotas and
constraints": maximum number of database connections)."""
TAKEN_GIB, TAKEN_SHARE = 0.3, 0.03
"""`DBInstanceClassMemory` is less than the class's memory, by about what the operating system and RDS take."""
SMALL_SIZES_GIB = {"micro": 1, "small": 2, "medium": 4}
LARGE_GIB = {"t": 8, "m": 8, "r": 16}
"""Memory of the `large` size by the letter that a class's type begins with; each `xlarge` is two of them."""

DASHBOARD_NAME_LENGTH = 255
PERIOD_SECONDS = 300
"""The period of every alarm."""


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
    functions: Mapping[str, WatchedFunction]
    """Label in alarms and dashboard → the function's name and timeout."""
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
            *_stream_alarms(args),
            *(alarm for label, watched in args["functions"].items() for alarm in _function_alarms(label, watched)),
            *_events_and_versions(args),
            *_database_alarms(args["database"], connections),
        ]
        for alarm in alarms:
            self._alarm(name, alarm, topic)
        self._glue_failure(name, args, topic)
        self.topic_arn = topic.arn
        self.dashboard_name = self._dashboard(name, args).dashboard_name
        self.register_outputs({"topicArn": self.topic_arn, "dashboardName": self.dashboard_name})

    def _topic(self, name: str, email: str | None) -> aws.sns.Topic:
        # SNS's own managed key would shut EventBridge and CloudWatch out: its policy cannot be changed.
        topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=self._kms_key_arn, tags=self._tags, opts=self._child)
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
            opts=self._child,
        )
        if email is not None:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=email, opts=self._child
            )
        return topic

    def _alarm(self, name: str, alarm: "_Alarm", topic: aws.sns.Topic) -> None:
        namespace, _, metric = alarm.metric.partition(" ")
        aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.name}",
            alarm_description=alarm.why,
            namespace=namespace,
            metric_name=metric,
            dimensions=alarm.dimensions,
            statistic=alarm.statistic,
            period=PERIOD_SECONDS,
            evaluation_periods=alarm.periods,
            comparison_operator="GreaterThanThreshold" if alarm.above is not None else "LessThanThreshold",
            threshold=alarm.above if alarm.above is not None else alarm.below,
            treat_missing_data="notBreaching",
            alarm_actions=[topic.arn],
            ok_actions=[topic.arn],
            tags=self._tags,
            opts=self._child,
        )

    def _glue_failure(self, name: str, args: MonitoringArgs, topic: aws.sns.Topic) -> None:
        # Glue's own metrics are there only while a job runs; its state changes are events.
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
            tags=self._tags,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(f"{name}-glue-failure", rule=rule.name, arn=topic.arn, opts=self._child)

    def _dashboard(self, name: str, args: MonitoringArgs) -> aws.cloudwatch.Dashboard:
        region = aws.get_region_output(opts=pulumi.InvokeOptions(parent=self)).region
        stream = ["StreamName", args["event_stream_name"]]
        delivery = ["DeliveryStreamName", args["delivery_stream_name"]]
        database = ["DBInstanceIdentifier", args["database"]["identifier"]]
        lambdas = [["FunctionName", watched["name"]] for watched in args["functions"].values()]
        rows: list[tuple[str, str, list[list[pulumi.Input[str]]]]] = [
            ("1 · events come in", "Sum", [["AWS/Kinesis", "IncomingRecords", *stream]]),
            ("2 · they wait (ms)", "Maximum", [["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", *stream]]),
            ("3 · functions run (ms)", "Maximum", [["AWS/Lambda", "Duration", *function] for function in lambdas]),
            ("4 · and fail", "Sum", [["AWS/Lambda", "Errors", *function] for function in lambdas]),
            ("5 · vectors are asked (CPU %)", "Maximum", [["AWS/RDS", "CPUUtilization", *database]]),
            ("6 · connections", "Maximum", [["AWS/RDS", "DatabaseConnections", *database]]),
            ("7 · recommendations arrive", "Sum", [["AWS/Firehose", "DeliveryToS3.Records", *delivery]]),
            ("8 · their age (s)", "Maximum", [["AWS/Firehose", "DeliveryToS3.DataFreshness", *delivery]]),
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
            opts=self._child,
        )

    def _dashboard_name(self, name: str) -> pulumi.Output[str]:
        """Returns a name that no other stack has. Dashboards belong to the whole account, and a second one of the same
        name would replace the first without an error (CloudWatch API Reference, PutDashboard)."""
        suffix = random.RandomId(f"{name}-dashboard", byte_length=4, opts=self._child)
        readable = re.sub(r"[^A-Za-z0-9_-]", "-", f"{pulumi.get_project()}-{pulumi.get_stack()}")
        return pulumi.Output.concat(readable[: DASHBOARD_NAME_LENGTH - 9], "-", suffix.hex)


@dataclass(frozen=True, kw_only=True)
class _Alarm:
    """A metric (`AWS/Kinesis GetRecords…`) that stays above or below a limit for some periods."""

    name: str
    why: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str
    above: pulumi.Input[float] | None = None
    below: pulumi.Input[float] | None = None
    periods: int = 1


def _stream_alarms(args: MonitoringArgs) -> list[_Alarm]:
    stream, delivery = {"StreamName": args["event_stream_name"]}, {"DeliveryStreamName": args["delivery_stream_name"]}
    return [
        _Alarm(
            name="iterator-age",
            why="Events wait in the stream for over 5 minutes: the delivery stream does not keep up, or cannot read.",
            metric="AWS/Kinesis GetRecords.IteratorAgeMilliseconds",
            dimensions=stream,
            statistic="Maximum",
            above=5 * 60 * 1000,
        ),
        _Alarm(
            name="write-throttles",
            why="Producers are throttled: the stream needs more shards, or on-demand mode.",
            metric="AWS/Kinesis WriteProvisionedThroughputExceeded",
            dimensions=stream,
            statistic="Sum",
            above=0,
            periods=3,
        ),
        _Alarm(
            name="delivery-freshness",
            why="The oldest record that is not yet on S3 is over 15 minutes old: the delivery stream's error log says "
            "why.",
            metric="AWS/Firehose DeliveryToS3.DataFreshness",
            dimensions=delivery,
            statistic="Maximum",
            above=15 * 60,
        ),
        _Alarm(
            name="processing-failures",
            why="Calls of the transformation fail: records are retried, then kept under processing-failed/ for a "
            "replay.",
            metric="AWS/Firehose ExecuteProcessing.Success",
            dimensions=delivery,
            statistic="Average",
            below=1,
        ),
    ]


def _function_alarms(label: str, function: WatchedFunction) -> list[_Alarm]:
    dimensions, timeout_seconds = {"FunctionName": function["name"]}, function["timeout_seconds"]
    return [
        _Alarm(
            name=f"{label}-errors",
            why=f"{label} fails at some of its calls: its log says why.",
            metric="AWS/Lambda Errors",
            dimensions=dimensions,
            statistic="Sum",
            above=0,
        ),
        _Alarm(
            name=f"{label}-throttles",
            why=f"{label} is throttled: the account's or the function's concurrency is used up.",
            metric="AWS/Lambda Throttles",
            dimensions=dimensions,
            statistic="Sum",
            above=0,
        ),
        _Alarm(
            name=f"{label}-duration",
            why=f"{label} takes over 80% of its timeout of {timeout_seconds} s: give it memory, or smaller batches.",
            metric="AWS/Lambda Duration",
            dimensions=dimensions,
            statistic="Maximum",
            above=0.8 * timeout_seconds * 1000,
        ),
    ]


def _events_and_versions(args: MonitoringArgs) -> list[_Alarm]:
    # The first two are the functions' own metrics (functions/shared/telemetry.py), which Powertools gives the dimension
    # `service`.
    return [
        _Alarm(
            name="version-fallbacks",
            why="The active model version cannot be served, and the last one answers: the log of inference says why.",
            metric="Recommender VersionFallbacks",
            dimensions={"service": "model_inference"},
            statistic="Sum",
            above=0,
        ),
        # With an event source the function keeps what can never succeed, and no metric of AWS's own counts it.
        _Alarm(
            name="poison-events",
            why="Events are kept under processing-failed/ unanswered: the log of the transformation counts the "
            "reasons.",
            metric="Recommender RecordsFailed",
            dimensions={"service": "stream_transformation"},
            statistic="Sum",
            above=0,
        ),
        _Alarm(
            name="load-dead-letters",
            why="A model version was not loaded after all retries: its event lies in the dead-letter queue.",
            metric="AWS/SQS ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": args["dead_letter_queue_name"]},
            statistic="Maximum",
            above=0,
        ),
    ]


def _database_alarms(database: WatchedDatabase, connections: int) -> list[_Alarm]:
    dimensions = {"DBInstanceIdentifier": database["identifier"]}
    return [
        _Alarm(
            name="database-cpu",
            why="The vector store's processor is over 90% busy for 15 minutes: it needs a larger instance class.",
            metric="AWS/RDS CPUUtilization",
            dimensions=dimensions,
            statistic="Average",
            above=90,
            periods=3,
        ),
        _Alarm(
            name="database-storage",
            why="Less than a fifth of the vector store's storage is free: a load needs room for a second version.",
            metric="AWS/RDS FreeStorageSpace",
            dimensions=dimensions,
            statistic="Minimum",
            below=pulumi.Output.from_input(database["storage_gb"]).apply(lambda gib: 0.2 * gib * GIB),
        ),
        _Alarm(
            name="database-connections",
            why="The vector store's connections are nearly used up: limit the inference function's concurrency.",
            metric="AWS/RDS DatabaseConnections",
            dimensions=dimensions,
            statistic="Maximum",
            above=0.8 * connections,
        ),
    ]


def max_connections(instance_class: str) -> int:
    """Returns the connections that RDS for PostgreSQL allows an instance class. Raises `ValueError` for an unknown
    one."""
    _, type_, size = instance_class.split(".")
    large = LARGE_GIB.get(type_[0])
    if size in SMALL_SIZES_GIB:
        memory = SMALL_SIZES_GIB[size]
    elif large and (match := re.fullmatch(r"(\d*)(x?)large", size)):
        memory = large * (2 * int(match[1] or 1) if match[2] else 1)
    else:
        raise ValueError(
            f"Monitoring: expected database_max_connections beside the class {instance_class}, whose memory is unknown"
        )
    usable = (1 - TAKEN_SHARE) * (memory - TAKEN_GIB) * GIB
    return min(int(usable / BYTES_A_CONNECTION), MAX_CONNECTIONS)
