"""Calls with what hypothesis makes up until the time is over, and JSON of every kind."""

import time
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 50
"""Of a round; the time is looked at between rounds."""

TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", "\0", "\ud800", "é" * 2000, "1e400", "true", "{", "٣"]))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, 1e300, -1, 2**63]))
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], seconds: float) -> int:
    """Returns the number of calls. Raises what `check` raises, for the smallest example that hypothesis finds."""
    calls, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:

        @hypothesis.seed(time.time_ns())
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def one(value: Any) -> None:
            nonlocal calls
            calls += 1
            check(value)

        one()
    return calls
