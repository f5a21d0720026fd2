"""A customer's features reach the tower the same from an event as from the lake (contracts/features)."""

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import features
from contracts.columns import Column, Kind
from functions.shared.serving.graph import FeatureValue, tensor
from functions.shared.serving.tower import UserTower
from tests.training.worlds import CLASSIC
from training.entities import column_values

SEPARATOR = "|"
NO_VALUES: list[Any] = [None, {}, [], "x" * 2000]
TEXTS = st.text(max_size=30).filter(lambda text: "\0" not in text)
DECIMALS = st.decimals(-(10**12), 10**12, places=2)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False, width=64)


def spark_double(number: float) -> str:
    """Java's `Double.toString`, as Spark casts: plain from 1e-3 to 1e7, else `1.0E7`."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number) if "e" not in repr(number) else f"{number:f}"
    digits, _, exponent = f"{Decimal(repr(number)):E}".partition("E")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def as_the_lake_writes_it(value: Any) -> list[Any]:
    """The values of a text column that stand for the source's value, and the typed one."""
    if isinstance(value, bool):
        return [str(value).lower(), str(int(value)), value]
    if isinstance(value, float):
        return [spark_double(value), value]
    return [str(value).strip(" \t\n\r\f\v")]


def as_an_event_says_it(value: Any) -> list[Any]:
    """JSON's ways to say it."""
    if isinstance(value, bool):
        return [value, int(value), str(value).lower(), str(int(value))]
    if isinstance(value, Decimal):
        return [str(value), float(value)]
    if isinstance(value, int | float):
        return [value, str(value)]
    return [value, f"  {value}\n"]


def trained(column: Column, told: Any) -> Any:
    (value,) = column_values(pa.table({column.name: pa.array([told])}), column, "lake")
    return value


def served(column: Column, said: Any) -> Any:
    (value,) = tensor(column, [served_value(column, column.name, json.loads(json.dumps({"key": said})))])
    return tuple(filter(None, value)) if column.kind.is_list else value


def served_value(column: Column, source: str, user: dict[str, Any]) -> FeatureValue:
    tower = UserTower.__new__(UserTower)
    tower._columns, tower._event_key = (column,), {source: "key"}
    (value,) = tower._row(user)
    return value


def same(one: Any, other: Any) -> bool:
    if isinstance(one, str | tuple):
        return bool(one == other)
    return bool(
        pa.scalar(one, pa.float32()) == pa.scalar(other, pa.float32()) or (math.isnan(one) and math.isnan(other))
    )


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), DECIMALS, DOUBLES, TEXTS))
def test_a_category_is_the_same_in_training_and_serving(value: Any) -> None:
    column = Column("c", Kind.CATEGORICAL)
    found = {trained(column, told) for told in as_the_lake_writes_it(value)}
    found |= {served(column, said) for said in as_an_event_says_it(value)}
    assert len(found) == 1, (value, found)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), DECIMALS, DOUBLES))
def test_a_number_is_the_same_in_training_and_serving(value: Any) -> None:
    column = Column("c", Kind.NUMERIC)
    expected = trained(column, float(value))
    for said in as_an_event_says_it(value):
        assert same(expected, served(column, said)), (value, said)


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, max_size=5))
def test_tags_are_the_same_in_training_and_serving(values: list[str]) -> None:
    column = Column("c", Kind.TAGS, SEPARATOR)
    expected = trained(column, SEPARATOR.join(values))
    assert served(column, values) == expected
    assert served(column, SEPARATOR.join(values)) == expected


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_the_words_of_a_text_are_the_same_in_training_and_serving(value: str) -> None:
    column = Column("c", Kind.TEXT)
    expected = trained(column, str(value).strip(" \t\n\r\f\v"))
    for said in as_an_event_says_it(value):
        assert served(column, said) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("The 1958 Ferrari, the STRASSE & straße: a ﬁn", ("the", "1958", "ferrari", "strasse", "fin")),
        ("<p class='big'>Old&nbsp;oak <br/>chair", ("old", "nbsp", "oak", "chair")),
        ("Cafe\u0301 snake_case 12.5cm", ("café", "snake", "case", "12", "5cm")),
        ("日本の時計 ABC", ("日本", "本の", "の時", "時計", "abc")),
        ("हिन्दी 茶", ("हिन्दी", "茶")),
        ("\ud800ab", ("ab",)),
        (1958, ("1958",)),
        (True, ()),
        (None, ()),
        ("", ()),
        ("long" * 5_000 + " behind", ("long" * 2_500,)),
        (" ".join(f"word{n}" for n in range(500)), tuple(f"word{n}" for n in range(features.MAX_WORDS))),
    ],
)
def test_words_are_in_small_letters_and_each_comes_once(told: Any, expected: tuple[str, ...]) -> None:
    assert features.words(told) == expected


@pytest.mark.parametrize("kind", [Kind.BOOLEAN, Kind.CATEGORICAL])
@pytest.mark.parametrize("truth", [True, False])
def test_a_boolean_is_one_value_however_it_is_said(kind: Kind, truth: bool) -> None:
    column = Column("c", kind)
    ways = {served(column, said) for said in (*as_an_event_says_it(truth), str(truth), float(truth))}
    ways |= {trained(column, told) for told in as_the_lake_writes_it(truth)}
    assert ways == {"1" if truth else "0"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [(kind, said) for kind in (Kind.CATEGORICAL, Kind.NUMERIC, Kind.BOOLEAN) for said in NO_VALUES],
)
def test_what_is_no_value_counts_as_missing(kind: Kind, said: Any) -> None:
    value = served(Column("c", kind), said)
    assert value == "" if isinstance(value, str) else math.isnan(value)


@pytest.mark.parametrize("text", ["1_000", "٣", "0x10", "1e400", "nan", "inf", "1e39", ""])
def test_a_text_that_spark_reads_as_no_number_is_none(text: str) -> None:
    assert math.isnan(features.number(text))


def test_a_postal_code_keeps_its_zeros_and_a_name_its_dots() -> None:
    assert [features.text(text) for text in ("01234", "1:10", "v1.10", "e5", "-", "1.")] == [
        "01234", "1:10", "v1.10", "e5", "-", "1.",
    ]  # fmt: skip


def test_the_parts_of_a_date_are_the_same_in_training_and_serving() -> None:
    dated = replace(CLASSIC.users, columns=(Column("joined", Kind.DATE),))
    for column in dated.features:
        (said,) = tensor(column, [served_value(column, "joined", {"key": "2020-02-29T10:00:00Z"})])
        (told,) = column_values(pa.table({"joined": ["2020-02-29"]}), column, "lake")
        assert same(told, said), column.name
