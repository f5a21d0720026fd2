"""Random attacks on the functions' handlers, each for as long as FUZZ_SECONDS says (`make audit`: 300)."""

import os
import random
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
TIMEOUT = SECONDS + 240
"""Seconds of one test: a failing example is first made small."""

_ROUND = settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def for_a_while(strategy: SearchStrategy[Any], check: Callable[[Any], None]) -> int:
    """Checks examples of the strategy, other ones in each round, until the time is up; how many rounds."""
    until, rounds = time.monotonic() + SECONDS, 0
    while not rounds or time.monotonic() < until:
        # Printed by pytest where it fails: `@seed` with it repeats the round.
        number = random.SystemRandom().getrandbits(32)
        print(f"seed {number}")
        seed(number)(_ROUND(given(strategy)(check)))()
        rounds += 1
    return rounds
