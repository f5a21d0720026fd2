"""Measurements, each beside the limit that it should come near to: `python -m benchmarks.<name>`."""
