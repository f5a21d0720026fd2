"""The console's figures, from lines as the functions really write them."""

import json

import pytest

from functions.shared.telemetry import count, metrics_of, timed
from storefront.measurements import STEP_SECONDS, WINDOW_SECONDS, Point, Window, percentile, read_line


def test_the_metrics_of_a_function_are_read_from_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = metrics_of("recommendation_api")
    with timed(metrics, "Request"):
        count(metrics, "Answers2xx", 1)
        count(metrics, "Answers2xx", 2)
    metrics.flush_metrics()
    (line,) = capsys.readouterr().out.splitlines()
    points = {point.metric: point for point in read_line(line, 1.0)}
    assert points.keys() == {"RequestMilliseconds", "Answers2xx"}
    assert points["Answers2xx"].values == [1.0, 2.0]
    assert points["Answers2xx"].service == "recommendation_api"
    assert 0 < points["RequestMilliseconds"].values[0] < 1000


@pytest.mark.parametrize(
    "line", ["START RequestId: 1", "", "[]", '"_aws"', "{}", json.dumps({"_aws": {"Timestamp": 1}})]
)
def test_other_lines_of_a_log_are_no_metrics(line: str) -> None:
    assert list(read_line(line, 1.0)) == []


def test_a_window_counts_what_lies_in_it_at_its_step() -> None:
    end = 1_800_000_000.0
    start = end - WINDOW_SECONDS
    moments = (start - 0.001, start, start + STEP_SECONDS - 0.001, end - 0.001, end)
    window = Window(end, [Point(at, "stream_transformation", "BatchSize", [10, 5]) for at in moments])
    rates = window.rates("stream_transformation", "BatchSize")
    assert len(rates) == WINDOW_SECONDS // STEP_SECONDS
    assert (rates[0], rates[-1], sum(rates)) == (30 / STEP_SECONDS, 15 / STEP_SECONDS, 45 / STEP_SECONDS)


def test_percentiles_are_of_the_nearest_rank_and_missing_where_nothing_was_measured() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) is None


def test_failures_are_told_by_reason_and_only_those_that_were() -> None:
    points = [
        Point(1_799_999_990.0, "event_intake", "EventsRefused", [2]),
        Point(1_799_999_991.0, "event_intake", "EventsRefused", [1]),
        Point(1_799_999_991.0, "event_intake", "EventsTaken", [9]),
    ]
    assert Window(1_800_000_000.0, points).failures() == {
        "event refused by the intake: not as the contract says": 3,
    }
