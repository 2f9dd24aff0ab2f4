"""Bounds of the buckets that latencies are counted in."""

__all__ = ["LATENCY_BUCKETS"]

# Prometheus' usual bounds for requests, with finer ones where a small model answers.
LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds."""
