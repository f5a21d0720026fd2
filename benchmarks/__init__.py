"""Measurements, each beside the limit that it is to come near to: `python -m benchmarks.<name>`."""
