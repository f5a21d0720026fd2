"""Alarms, the topic that they ring on, and the dashboard."""

import json
from typing import Any

import pytest

from components import Monitoring
from local.graph.recorder import Graph, build
from tests.components.shared import COMMON


@pytest.fixture(scope="module")
def graph() -> Graph:
    return monitoring(email="ops@example.com")


def monitoring(instance_class: str = "db.t4g.micro", **settings: Any) -> Graph:
    args: Any = {
        "common": COMMON,
        "settings": settings,
        "event_stream_name": "events",
        "delivery_stream_name": "delivery",
        "functions": [{"label": "loader", "name": "loader-1", "timeout_seconds": 900}],
        "api": {"id": "api-1", "latency_ms": 800, "access_log_name": "access"},
        "catalogue": {"enabled": True, "stale_minutes": 15},
        "dead_letter_queue_name": "dead",
        "database": {"identifier": "db", "instance_class": instance_class, "storage_gb": 20},
        "glue_job_name": "job",
    }
    return build(lambda: Monitoring("monitoring", args))


def test_every_way_in_which_it_fails_has_an_alarm(graph: Graph) -> None:
    watched = {node.inputs["metricName"] for node in graph.of("MetricAlarm")}
    assert watched == {
        "GetRecords.IteratorAgeMilliseconds",
        "WriteProvisionedThroughputExceeded",
        "DeliveryToS3.DataFreshness",
        "ExecuteProcessing.Success",
        "Errors",
        "Throttles",
        "Duration",
        "ApproximateNumberOfMessagesVisible",
        "CPUUtilization",
        "FreeStorageSpace",
        "DatabaseConnections",
        "VersionFallbacks",
        "RulesProblems",
        "RecordsFailed",
        "5xx",
        "Latency",
        "ApiThrottled",
        "AnswersFromMemory",
        "CatalogRefreshes",
    }
    rule = json.loads(graph.one("EventRule", "glue-failure").inputs["eventPattern"])
    assert "FAILED" in rule["detail"]["state"]


def test_every_alarm_says_why_and_rings_on_the_topic(graph: Graph) -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:monitoring-alarms"
    for alarm in graph.of("MetricAlarm"):
        assert len(alarm.inputs["alarmDescription"]) > 40, alarm.name
        assert alarm.inputs["alarmActions"] == [topic], alarm.name
        # Of the catalogue alone it is bad news to hear nothing.
        missing = "breaching" if alarm.name == "monitoring-catalogue-stale" else "notBreaching"
        assert alarm.inputs["treatMissingData"] == missing, alarm.name


def test_a_functions_duration_is_measured_against_its_own_timeout(graph: Graph) -> None:
    assert graph.one("MetricAlarm", "loader-duration").inputs["threshold"] == pytest.approx(720_000)


def test_the_apis_latency_is_measured_at_its_99th_percentile_and_throttled_requests_are_counted(graph: Graph) -> None:
    latency = graph.one("MetricAlarm", "api-latency").inputs
    assert (latency["extendedStatistic"], latency["threshold"]) == ("p99", 800)
    assert "statistic" not in latency
    counted, throttled = graph.one("LogMetricFilter").inputs, graph.one("MetricAlarm", "api-throttled").inputs
    metric = counted["metricTransformation"]
    assert counted["logGroupName"] == "access"
    assert (metric["namespace"], metric["name"]) == (throttled["namespace"], throttled["metricName"])


def test_mail_goes_to_whom_the_setting_names(graph: Graph) -> None:
    assert graph.one("TopicSubscription").inputs["endpoint"] == "ops@example.com"
    assert not monitoring().of("TopicSubscription")


def test_the_dashboard_follows_a_record_from_the_stream_to_s3(graph: Graph) -> None:
    widgets = json.loads(graph.one("Dashboard").inputs["dashboardBody"])["widgets"]
    metrics = [widget["properties"]["metrics"][0][1] for widget in widgets]
    assert metrics[0] == "IncomingRecords"
    assert metrics.index("DeliveryToS3.Records") > metrics.index("Duration")
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == len(widgets)


def test_eventbridge_may_publish_without_a_condition_on_its_source(graph: Graph) -> None:
    held = json.loads(graph.one("TopicPolicy").inputs["policy"])["Statement"]
    for service, conditions in (("events.amazonaws.com", 0), ("cloudwatch.amazonaws.com", 1)):
        (statement,) = [entry for entry in held if entry["Principal"] == {"Service": service}]
        assert len(statement.get("Condition", {})) == conditions, service


@pytest.mark.parametrize(
    ("instance_class", "connections"),
    [("db.t4g.micro", 76), ("db.m7g.large", 841), ("db.r8g.4xlarge", 5000), ("db.t4g.2xlarge", 3463)],
)
def test_the_connections_alarm_is_measured_against_the_instance_class(instance_class: str, connections: int) -> None:
    alarm = monitoring(instance_class).one("MetricAlarm", "database-connections").inputs
    assert alarm["threshold"] == pytest.approx(0.8 * connections)


def test_an_instance_class_that_is_unknown_asks_for_its_connections() -> None:
    with pytest.raises(ValueError, match="expected database_max_connections beside"):
        monitoring("db.x2g.large")
    alarm = monitoring("db.x2g.large", database_max_connections=100).one("MetricAlarm", "connections")
    assert alarm.inputs["threshold"] == pytest.approx(80)
