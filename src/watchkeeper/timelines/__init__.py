"""Time lines: traffic, failures, latency and quality of a model over any stretch of time.

To read a year of events takes seconds, and a page has a fraction of one. So events are counted
once, into small cells of an hour, a version and a variant, which add up to the figures of any hour,
day, month or year. Counts and accuracies are exact; a quantile is within 2.5 % of the prediction
of that rank, and each AUC says how far the counting can have moved it.

>>> from datetime import UTC, datetime, timedelta
>>> import pyarrow as pa
>>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
>>> made = [noon + number * timedelta(minutes=1) for number in range(120)]
>>> rows = pa.table({
...     "timestamp": made, "model_version": ["1.0.0"] * 120, "variant": ["production"] * 120,
...     "status": ["success"] * 120, "latency_ms": [20.0] * 120,
...     "prediction": [1.0] * 120, "score": [0.75] * 120, "actual": [1.0, None, 0.0, 1.0] * 30,
...     "actual_timestamp": [noon + timedelta(days=1)] * 120})
>>> cells = cells_of(rows, task="binary")
>>> cells.num_rows
2
>>> found = timeline_of(cells, noon - timedelta(hours=1), noon + timedelta(hours=2))
>>> found.bucket, found.predictions
('hour', array([ 0, 60, 60]))
>>> found.accuracy.value.round(3), found.accuracy.low.round(3)
(array([  nan, 0.667, 0.667]), array([  nan, 0.521, 0.521]))
"""

from watchkeeper.timelines.cells import cells_of, empty_cells, together
from watchkeeper.timelines.scales import RELATIVE_ERROR
from watchkeeper.timelines.timeline import Band, Timeline, timeline_of, timelines_by

__all__ = [
    "RELATIVE_ERROR",
    "Band",
    "Timeline",
    "cells_of",
    "empty_cells",
    "timeline_of",
    "timelines_by",
    "together",
]
