"""Charts as inline SVG: data in, a drawing and a table out; no scripts, no inline styles.

The pages draw their own charts, since they are drawn on every request in the process that serves
predictions, have to follow a strict content security policy, and change between light and dark.
All colours are classes of ``static/charts.css``.

>>> from datetime import UTC, datetime, timedelta
>>> start = datetime(2026, 11, 27, tzinfo=UTC)
>>> chart = LineChart(
...     title="Latency, 95th percentile", unit="ms",
...     times=[start, start + timedelta(hours=1)], end=start + timedelta(hours=2),
...     series=[Series("p95", [12.5, None])],
... )
>>> chart.gist()
'27 Nov 2026, 00:00 to 02:00; p95: last 12.5 ms, no data at the end'
>>> str(chart.svg())[:11]
'<svg class='
>>> print(chart.table().csv(), end="")
from,to,p95 (ms),notes
2026-11-27T00:00:00Z,2026-11-27T01:00:00Z,12.5,
2026-11-27T01:00:00Z,2026-11-27T02:00:00Z,,
"""

from watchkeeper.charts.annotations import Mark, MarkKind, Reference, Span, SpanKind, mark_icon
from watchkeeper.charts.bars import BarChart
from watchkeeper.charts.forest import Interval, IntervalChart, Tone
from watchkeeper.charts.graph import Edge, Graph, Node, NodeState
from watchkeeper.charts.heatmap import HeatCell, HeatMap, HeatRow, HeatState
from watchkeeper.charts.histogram import HistogramPair
from watchkeeper.charts.line import LineChart, Series
from watchkeeper.charts.progress import ProgressBar, Step, Stepper, StepState
from watchkeeper.charts.sparkline import Sparkline
from watchkeeper.charts.table import Chart, Entry, Table

__all__ = [
    "BarChart",
    "Chart",
    "Edge",
    "Entry",
    "Graph",
    "HeatCell",
    "HeatMap",
    "HeatRow",
    "HeatState",
    "HistogramPair",
    "Interval",
    "IntervalChart",
    "LineChart",
    "Mark",
    "MarkKind",
    "Node",
    "NodeState",
    "ProgressBar",
    "Reference",
    "Series",
    "Span",
    "SpanKind",
    "Sparkline",
    "Step",
    "StepState",
    "Stepper",
    "Table",
    "Tone",
    "mark_icon",
]
