"""The events of a soak: one in a hundred is odd, and some of these can never be recommended for."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.functions.lambdas import packed

ODD = 0.01


# Each is made of a number, so that no two have the same bytes.
POISON: list[Callable[[int], bytes]] = [
    lambda n: b"\xff\xfe%d" % n,
    lambda n: b"{not json %d" % n,
    lambda n: b"%d" % n,
    lambda n: b'["a list", %d]' % n,
    lambda n: b'{"session_id": "no history %d"}' % n,
    lambda n: b'{"browse_history": [], "n": %d}' % n,
    lambda n: b'{"session_id": "%d", "browse_history": "not a list"}' % n,
    lambda n: b'{"session_id": "%d", "browse_history": [{"quantity": 1}]}' % n,
    lambda n: b"[" * 5000 + b"%d" % n,
]


ODD_BUT_GOOD: list[Callable[[int], dict[str, Any]]] = [
    lambda n: {"session_id": f"brings an id {n}", "browse_history": [], "event_id": "the same for all"},
    lambda n: {"session_id": "\u2028" * 3 + str(n), "browse_history": [], "city": "\u2029\x85 Málaga"},
    lambda n: {"session_id": f"large {n}", "browse_history": [], "note": "я" * 20_000},
    lambda n: {"session_id": f"nobody {n}", "customer_number": "A 1", "browse_history": [{"product_code": "?"}] * 900},
    lambda n: {"session_id": f"tags {n}", "browse_history": [], "city": ["a"] * 500, "credit_limit": -1e300},
    lambda n: {"session_id": "s" * 300 + str(n), "customer_number": None, "browse_history": []},
]


def record_and_events(number: int) -> tuple[bytes, list[bytes | None]]:
    """Returns a record, and for each of its events the bytes that must be kept (None: it must come back)."""
    dice = random.Random(number)
    if dice.random() >= ODD:
        history = [
            {"product_code": f"S10_{dice.randrange(40)}", "quantity": "1", "in_shopping_cart": n == 0} for n in range(3)
        ]
        event = {"session_id": f"session-{number}", "customer_number": dice.randrange(60), "browse_history": history}
        return json.dumps(event).encode(), [None]
    kind = dice.randrange(3)
    if kind == 0:
        poison = dice.choice(POISON)(number)
        return poison, [poison]
    good = json.dumps(dice.choice(ODD_BUT_GOOD)(number)).encode()
    if kind == 1:
        return good, [None]
    poison = dice.choice(POISON)(number)
    return packed(good, poison, good), [None, poison, None]
