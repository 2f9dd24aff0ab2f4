"""Rows of events as an event log reads them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

START = datetime(2026, 3, 30, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
TIME = pa.timestamp("us", "UTC")
WORD = pa.dictionary(pa.int32(), pa.string())


def table(rows: Sequence[dict[str, Any]], *, words: bool = False) -> pa.Table:
    """Return rows as a table; `words` for answers and outcomes that are words."""
    label = WORD if words else pa.float64()
    schema = pa.schema(
        [
            ("timestamp", TIME), ("model_version", WORD), ("variant", WORD), ("status", WORD),
            ("latency_ms", pa.float64()), ("prediction", label), ("score", pa.float64()),
            ("actual", label), ("actual_timestamp", TIME),
        ]
    )  # fmt: skip
    return pa.Table.from_pylist(list(rows), schema=schema)


def many(count: int, seed: int, *, hours: int = 48, regression: bool = False) -> pa.Table:
    """Return a made-up sample, with failures, ties, missing outcomes and several versions."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, hours, count))
    score = np.round(rng.beta(1, 6, count), 3)
    truth = rng.random(count) < score
    failed, labelled = rng.random(count) < 0.05, rng.random(count) < 0.7
    latency = rng.lognormal(3, 1, count)
    actual = rng.normal(100, 20, count) if regression else truth.astype(float)
    told = actual + rng.normal(1, 5, count) if regression else (score > 0.3).astype(float)
    rows = []
    for n in range(count):
        time = START + float(at[n]) * HOUR
        fails = bool(failed[n])
        known = bool(labelled[n])
        rows.append({
            "timestamp": time, "model_version": f"1.{n % 2}.0",
            "variant": "canary" if n % 5 == 0 else "production",
            "status": "error" if fails else "success",
            "latency_ms": None if n % 17 == 0 else float(latency[n]),
            "prediction": None if fails else float(told[n]),
            "score": None if fails or regression or n % 11 == 0 else float(score[n]),
            "actual": float(actual[n]) if known else None,
            "actual_timestamp": time + float(rng.exponential(30)) * HOUR if known else None,
        })  # fmt: skip
    return table(rows)
