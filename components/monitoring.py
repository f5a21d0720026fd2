"""Watching the system: one topic, an alarm for each way in which it fails, one dashboard along a record's way."""

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.common import CommonArgs, check_range, check_text
from components.function import WatchedFunction

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


class MonitoringSettings(TypedDict):
    """Settings of the monitoring, as given under `recommender:monitoring` in the stack's configuration."""

    email: NotRequired[str | None]
    """The e-mail address that alarms are sent to. Default: none; subscribe to the topic yourself."""
    database_max_connections: NotRequired[int]
    """The connections that the database allows, for the alarm. Default: computed from the instance class, as RDS
    does."""


class MonitoringArgs(MonitoringSettings, CommonArgs):
    """The resources to watch, by the physical names that the other components output."""

    event_stream_name: pulumi.Input[str]
    delivery_stream_name: pulumi.Input[str]
    functions: Mapping[str, WatchedFunction]
    """Label in alarms and dashboard → the function's name and timeout."""
    dead_letter_queue_name: pulumi.Input[str]
    database_identifier: pulumi.Input[str]
    database_class: str
    """The instance class, for instance `db.m7g.large`; the connections that it allows are computed from its memory."""
    database_storage_gb: pulumi.Input[int]
    glue_job_name: pulumi.Input[str]


class Monitoring(pulumi.ComponentResource):
    """Alarms, the SNS topic that they notify, and a dashboard."""

    topic_arn: pulumi.Output[str]
    dashboard_name: pulumi.Output[str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("recommender:index:Monitoring", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.get("tags", {})
        check_text("Monitoring", "email", args.get("email"), r"[^@\s]+@[^@\s]+\.[^@\s]+", "an address")
        self._max_connections = args.get("database_max_connections") or max_connections(args["database_class"])
        check_range("Monitoring", "database_max_connections", self._max_connections, (1, 262_143))
        topic = self._topic(name, args)
        self.topic_arn = topic.arn
        self._stream_alarms(args)
        for function, watched in args["functions"].items():
            self._function_alarms(function, watched["name"], watched["timeout_seconds"])
        self._fallback_alarm()
        self._poison_alarm()
        self._database_alarms(args)
        self._glue_failure(name, args, topic)
        self.dashboard_name = self._dashboard(name, args).dashboard_name
        self.register_outputs({"topicArn": self.topic_arn, "dashboardName": self.dashboard_name})

    def _topic(self, name: str, args: MonitoringArgs) -> aws.sns.Topic:
        # SNS's own managed key would shut EventBridge and CloudWatch out: its policy cannot be changed.
        topic = aws.sns.Topic(
            f"{name}-alarms", kms_master_key_id=args.get("kms_key_arn"), tags=self._tags, opts=self._child
        )
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
        if email := args.get("email"):
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=email, opts=self._child
            )
        return topic

    def _alarm(
        self,
        alarm: str,
        why: str,
        metric: str,
        dimensions: Mapping[str, pulumi.Input[str]],
        *,
        above: pulumi.Input[float] | None = None,
        below: pulumi.Input[float] | None = None,
        statistic: str = "Maximum",
        minutes: int = 5,
        periods: int = 1,
        missing: str = "notBreaching",
    ) -> None:
        """An alarm on a metric (`AWS/Kinesis GetRecords…`) that stays above or below a limit for some periods."""
        namespace, _, metric_name = metric.partition(" ")
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm}",
            alarm_description=why,
            namespace=namespace,
            metric_name=metric_name,
            dimensions=dimensions,
            statistic=statistic,
            period=minutes * 60,
            evaluation_periods=periods,
            comparison_operator="GreaterThanThreshold" if above is not None else "LessThanThreshold",
            threshold=above if above is not None else below,
            treat_missing_data=missing,
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            tags=self._tags,
            opts=self._child,
        )

    def _stream_alarms(self, args: MonitoringArgs) -> None:
        delivery = {"DeliveryStreamName": args["delivery_stream_name"]}
        self._alarm(
            "iterator-age",
            "Events wait in the stream for over 5 minutes: the delivery stream does not keep up, or cannot read.",
            "AWS/Kinesis GetRecords.IteratorAgeMilliseconds",
            {"StreamName": args["event_stream_name"]},
            above=5 * 60 * 1000,
        )
        self._alarm(
            "write-throttles",
            "Producers are throttled: the stream needs more shards, or on-demand mode.",
            "AWS/Kinesis WriteProvisionedThroughputExceeded",
            {"StreamName": args["event_stream_name"]},
            above=0,
            statistic="Sum",
            periods=3,
        )
        self._alarm(
            "delivery-freshness",
            "The oldest record that is not yet on S3 is over 15 minutes old: the delivery stream's error log says why.",
            "AWS/Firehose DeliveryToS3.DataFreshness",
            delivery,
            above=15 * 60,
        )
        self._alarm(
            "processing-failures",
            "Calls of the transformation fail: records are retried, then kept under processing-failed/ for a replay.",
            "AWS/Firehose ExecuteProcessing.Success",
            delivery,
            below=1,
            statistic="Average",
        )

    def _function_alarms(self, function: str, name: pulumi.Input[str], timeout_seconds: int) -> None:
        dimensions = {"FunctionName": name}
        self._alarm(
            f"{function}-errors",
            f"{function} fails at some of its calls: its log says why.",
            "AWS/Lambda Errors",
            dimensions,
            above=0,
            statistic="Sum",
        )
        self._alarm(
            f"{function}-throttles",
            f"{function} is throttled: the account's or the function's concurrency is used up.",
            "AWS/Lambda Throttles",
            dimensions,
            above=0,
            statistic="Sum",
        )
        self._alarm(
            f"{function}-duration",
            f"{function} takes over 80% of its timeout of {timeout_seconds} s: give it memory, or smaller batches.",
            "AWS/Lambda Duration",
            dimensions,
            above=0.8 * timeout_seconds * 1000,
        )

    def _fallback_alarm(self) -> None:
        # The function's own metric (functions/shared/telemetry.py), which Powertools gives the dimension `service`.
        self._alarm(
            "version-fallbacks",
            "The active model version cannot be served, and the last one answers: the log of inference says why.",
            "Recommender VersionFallbacks",
            {"service": "model_inference"},
            above=0,
            statistic="Sum",
        )

    def _poison_alarm(self) -> None:
        # With an event source the function keeps what can never succeed, and no metric of AWS's own counts it.
        self._alarm(
            "poison-events",
            "Events are kept under processing-failed/ unanswered: the log of the transformation counts the reasons.",
            "Recommender RecordsFailed",
            {"service": "stream_transformation"},
            above=0,
            statistic="Sum",
        )

    def _database_alarms(self, args: MonitoringArgs) -> None:
        dimensions = {"DBInstanceIdentifier": args["database_identifier"]}
        self._alarm(
            "load-dead-letters",
            "A model version was not loaded after all retries: its event lies in the dead-letter queue.",
            "AWS/SQS ApproximateNumberOfMessagesVisible",
            {"QueueName": args["dead_letter_queue_name"]},
            above=0,
        )
        self._alarm(
            "database-cpu",
            "The vector store's processor is over 90% busy for 15 minutes: it needs a larger instance class.",
            "AWS/RDS CPUUtilization",
            dimensions,
            above=90,
            statistic="Average",
            periods=3,
        )
        self._alarm(
            "database-storage",
            "Less than a fifth of the vector store's storage is free: a load needs room for a second version.",
            "AWS/RDS FreeStorageSpace",
            dimensions,
            below=pulumi.Output.from_input(args["database_storage_gb"]).apply(lambda gib: 0.2 * gib * GIB),
            statistic="Minimum",
        )
        self._alarm(
            "database-connections",
            "The vector store's connections are nearly used up: limit the inference function's concurrency.",
            "AWS/RDS DatabaseConnections",
            dimensions,
            above=0.8 * self._max_connections,
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
        database = ["DBInstanceIdentifier", args["database_identifier"]]
        functions = [watched["name"] for watched in args["functions"].values()]
        rows: list[tuple[str, list[list[Any]]]] = [
            ("1 · events come in", [["AWS/Kinesis", "IncomingRecords", *stream]]),
            ("2 · they wait (ms)", [["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", *stream]]),
            (
                "3 · functions run (ms)",
                [["AWS/Lambda", "Duration", "FunctionName", function] for function in functions],
            ),
            (
                "4 · and fail",
                [["AWS/Lambda", "Errors", "FunctionName", function] for function in functions],
            ),
            ("5 · vectors are asked (CPU %)", [["AWS/RDS", "CPUUtilization", *database]]),
            ("6 · connections", [["AWS/RDS", "DatabaseConnections", *database]]),
            ("7 · recommendations arrive", [["AWS/Firehose", "DeliveryToS3.Records", *delivery]]),
            ("8 · their age (s)", [["AWS/Firehose", "DeliveryToS3.DataFreshness", *delivery]]),
        ]
        widgets = [
            {
                "type": "metric",
                "x": index % 2 * 12,
                "y": index // 2 * 6,
                "width": 12,
                "height": 6,
                "properties": {"title": title, "metrics": metrics, "region": region, "stat": "Sum", "period": 60}
                | ({} if "come in" in title or "arrive" in title or "fail" in title else {"stat": "Maximum"}),
            }
            for index, (title, metrics) in enumerate(rows)
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
