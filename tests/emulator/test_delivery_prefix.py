"""Firehose's prefix expressions, by the examples and the rules of its developer guide."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.delivery.prefix import ERROR_OUTPUT_TYPE, MAX_LENGTH, read_prefixes
from emulator.errors import LocalRunError

MOMENT = datetime(2018, 8, 27, 10, 30, tzinfo=UTC)
"""The moment of the guide's examples."""

FAILED = "processing-failed"


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "data", "error"),
    [
        (None, None, "2018/08/27/10/", "processing-failed/2018/08/27/10/"),
        ("myPrefix/", None, "myPrefix/2018/08/27/10/", "myPrefix/processing-failed/2018/08/27/10/"),
        (
            None,
            "myFirehoseFailures/!{firehose:error-output-type}/",
            "2018/08/27/10/",
            "myFirehoseFailures/processing-failed/",
        ),
        (
            "myPrefix/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/",
            "myErrorPrefix/!{timestamp:yyyy}/anyMonth/!{timestamp:dd}/!{firehose:error-output-type}",
            "myPrefix/year=2018/month=08/day=27/hour=10/",
            "myErrorPrefix/2018/anyMonth/27/processing-failed",
        ),
        ("data/", "errors/", "data/2018/08/27/10/", "errors/processing-failed/2018/08/27/10/"),
    ],
)
def test_a_pair_of_prefixes_evaluates_as_documented(
    prefix: str | None, error_prefix: str | None, data: str, error: str
) -> None:
    prefixes = read_prefixes(prefix, error_prefix, "stream")
    assert prefixes.for_data(MOMENT) == data
    assert prefixes.for_errors(MOMENT, FAILED) == error


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "message"),
    [
        ("!{timestamp:yyyy}/", None, "errorOutputPrefix must be set"),
        ("!{timestamp:yyyy}/", "errors/", "must contain"),
        ("a/", "errors/!{timestamp:yyyy}/", "must contain"),
        ("a/!{firehose:error-output-type}/", "e/!{firehose:error-output-type}/", "only the error prefix"),
        ("a!{/", None, "may only open an expression"),
        ("a/!{firehose:}/", "e/!{firehose:error-output-type}/", "found !{firehose:}"),
        ("a/!{partitionKeyFromQuery:city}/", "e/!{firehose:error-output-type}/", "partitionKeyFromQuery"),
        ("!{timestamp:YYYY}/", "e/!{firehose:error-output-type}/", "letters yyyy, MM, dd, HH, mm, ss and"),
        ("!{timestamp:'dt='yyyy}/", "e/!{firehose:error-output-type}/", "found \"'dt='yyyy\""),
        ("!{timestamp:yyyy[MM]}/", "e/!{firehose:error-output-type}/", "found 'yyyy[MM]'"),
    ],
)
def test_a_pair_that_firehose_refuses_is_refused(prefix: str, error_prefix: str | None, message: str) -> None:
    with pytest.raises(LocalRunError, match=re.escape(message)) as refused:
        read_prefixes(prefix, error_prefix, "delivery stream clicks")
    assert "delivery stream clicks" in str(refused.value)


def test_a_random_string_is_new_at_each_place() -> None:
    prefixes = read_prefixes(
        "!{firehose:random-string}/!{firehose:random-string}/", f"!{{{'firehose'}:error-output-type}}", "s"
    )
    first, second, *_ = prefixes.for_data(MOMENT).split("/")
    assert first != second
    assert re.fullmatch(r"[0-9a-z]{11}", first)


def test_an_evaluated_prefix_is_at_most_512_characters_long() -> None:
    with pytest.raises(LocalRunError, match="at most 512"):
        read_prefixes("x" * MAX_LENGTH, None, "s").for_data(MOMENT)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_timestamp_names_its_moment(moment: datetime) -> None:
    prefixes = read_prefixes("!{timestamp:yyyy-MM-dd/HH:mm:ss}", ERROR_OUTPUT_TYPE, "s")
    assert datetime.strptime(prefixes.for_data(moment), "%Y-%m-%d/%H:%M:%S") == moment.replace(microsecond=0)


@given(st.text(max_size=30) | st.from_regex("(yyyy|MM|dd|HH|mm|ss|[/_=.-]){0,8}", fullmatch=True))
def test_any_pattern_is_either_evaluated_or_refused_by_name(pattern: str) -> None:
    prefix = f"!{{timestamp:{pattern}}}"
    if re.fullmatch("(yyyy|MM|dd|HH|mm|ss|[/_=.:-])*", pattern):
        assert not re.search("[A-Za-z]", read_prefixes(prefix, ERROR_OUTPUT_TYPE, "s").for_data(MOMENT))
        return
    with pytest.raises(LocalRunError, match=re.escape(f"prefix {prefix!r}")):
        read_prefixes(prefix, ERROR_OUTPUT_TYPE, "s")
