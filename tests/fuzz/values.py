"""JSON of every kind."""

from hypothesis import strategies as st

TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", "\0", "\ud800", "é" * 2000, "1e400", "true", "{", "٣"]))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, 1e300, -1, 2**63]))
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
