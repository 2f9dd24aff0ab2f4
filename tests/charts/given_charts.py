"""Charts of anything: values that are no numbers, labels that are no words."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from watchkeeper.charts import (
    BarChart,
    Chart,
    Edge,
    Graph,
    HeatCell,
    HeatMap,
    HeatRow,
    HistogramPair,
    Interval,
    IntervalChart,
    LineChart,
    Mark,
    MarkKind,
    Node,
    NodeState,
    ProgressBar,
    Reference,
    Series,
    Span,
    Sparkline,
    Step,
    Stepper,
)

NASTY = (
    "",
    "<script>alert(1)</script>",
    "\" onload='x' & <b>",
    "]]>",
    "\0\x0b\ufffe\ud800",
    "שלום עולם",
    "مرحبا 5 %",
    "a" * 500,
    "=cmd|' /C calc'!A0",
    "長い名前" * 30,
    "\u202eevil",
)
labels = st.sampled_from(NASTY) | st.text(max_size=12)
EARLY, LATE = datetime(1971, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - as asked for

hrefs = st.none() | st.sampled_from(
    ["/models/flights", "javascript:alert(1)", "//evil", "?a=1&b=2", "x"]
)
values = st.none() | st.floats() | st.sampled_from([0.0, 1e300, -1e300, 5e-324, -1.0, 0.5])
units = st.sampled_from(["", "%", "ms", "predictions"])
zones = st.sampled_from(
    [UTC, *(ZoneInfo(name) for name in ("America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"))]
)
instants = st.datetimes(EARLY, LATE, timezones=st.just(UTC))
kinds: st.SearchStrategy[MarkKind] = st.sampled_from(
    ["promotion", "retraining", "incident", "rollout", "experiment", "rollback"]
)


@st.composite
def buckets(draw: st.DrawFn, most: int = 12) -> tuple[list[datetime], datetime]:
    start = draw(instants)
    lengths = draw(
        st.lists(st.sampled_from([1, 60, 3600, 7200, 86400, 40 * 86400]), max_size=most)
        | st.lists(st.just(3600), min_size=140, max_size=160)
    )
    times = [start]
    for seconds in lengths:
        times.append(times[-1] + timedelta(seconds=seconds))
    return times[:-1], times[-1]


@st.composite
def over_time(draw: st.DrawFn, most: int = 12) -> dict[str, Any]:
    times, end = draw(buckets(most))
    first = times[0] if times else end

    def near() -> datetime:
        share = draw(st.floats(-0.5, 1.5))
        return first + share * max(end - first, timedelta(days=1))

    marks = [
        Mark(near(), draw(labels), draw(kinds), draw(hrefs)) for _ in range(draw(st.integers(0, 4)))
    ]
    spans = [
        Span(near(), near(), draw(labels), draw(st.sampled_from(["bad", "unknown", "info"])))
        for _ in range(draw(st.integers(0, 3)))
    ]
    zone: tzinfo = draw(zones)
    return {
        "title": draw(labels), "unit": draw(units), "zone": zone, "times": times, "end": end,
        "marks": marks, "spans": spans,
    }  # fmt: skip


def _row(draw: st.DrawFn, count: int) -> list[float | None]:
    if count <= 12:
        return draw(st.lists(values, min_size=count, max_size=count))
    few = draw(st.lists(values, min_size=5, max_size=5))
    return [few[index % 5] for index in range(count)]


references = st.lists(st.builds(Reference, labels, st.floats()), max_size=3)


@st.composite
def line_charts(draw: st.DrawFn) -> LineChart:
    common = draw(over_time())
    count = len(common["times"])
    series = [
        Series(
            draw(labels),
            _row(draw, count),
            _row(draw, count) if draw(st.booleans()) else None,
            _row(draw, count),
            draw(st.integers(0, 9)),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return LineChart(
        **common, series=series, references=draw(references), zero=draw(st.booleans()),
        log=draw(st.booleans()), height=draw(st.sampled_from([0, 40, 220])),
    )  # fmt: skip


@st.composite
def bar_charts(draw: st.DrawFn) -> BarChart:
    common = draw(over_time())
    count = len(common["times"])
    failed = _row(draw, count) if draw(st.booleans()) else None
    return BarChart(
        **common, values=_row(draw, count), failed=failed, references=draw(references),
        label=draw(labels), failed_label=draw(labels),
    )  # fmt: skip


@st.composite
def sparklines(draw: st.DrawFn) -> Sparkline:
    common = draw(over_time())
    return Sparkline(
        **common, values=_row(draw, len(common["times"])), limit=draw(values),
        zero=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def heat_maps(draw: st.DrawFn) -> HeatMap:
    common = draw(over_time(6)) | {"unit": ""}
    states = st.sampled_from(["drifted", "not", "unknown"])
    cells = st.none() | st.builds(HeatCell, values, states, hrefs)
    few = draw(st.lists(cells, min_size=6, max_size=6))
    count = len(common["times"])
    rows = [
        HeatRow(draw(labels), [few[(row + index) % 6] for index in range(count)], draw(hrefs))
        for row in range(draw(st.integers(0, 4)))
    ]
    return HeatMap(**common, rows=rows, measure=draw(labels))


@st.composite
def histograms(draw: st.DrawFn) -> HistogramPair:
    count = draw(st.integers(0, 8) | st.just(70))
    amounts = st.lists(
        st.floats() | st.floats(0, 1e3), min_size=min(count, 8), max_size=min(count, 8)
    )

    def side() -> list[float]:
        few = draw(amounts)
        return [few[index % 8] for index in range(count)]

    sides: dict[str, Any] = {
        "reference": side(),
        "current": side(),
        "title": draw(labels),
        "unit": draw(units),
    }
    if draw(st.booleans()):
        return HistogramPair(**sides, labels=[draw(labels) for _ in range(count)])
    edges = sorted(draw(st.floats(allow_nan=False)) for _ in range(count + 1))
    return HistogramPair(**sides, edges=edges)


tones = st.sampled_from(["", "good", "bad", "mute"])
forests = st.builds(
    IntervalChart,
    title=labels,
    unit=units,
    rows=st.lists(st.builds(Interval, labels, values, values, values, tones), max_size=5),
    null=values,
    null_label=labels,
    margin=values,
    margin_label=labels,
)
progresses = st.builds(ProgressBar, title=labels, label=labels, share=values, tone=tones)
step_states = st.sampled_from(["done", "current", "next", "failed"])
steppers = st.builds(
    Stepper, title=labels, steps=st.lists(st.builds(Step, labels, step_states, labels), max_size=8)
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [str(index) for index in range(draw(st.integers(0, 9) | st.just(65)))]
    states: st.SearchStrategy[NodeState] = st.sampled_from(["", "good", "bad", "info", "mute"])
    nodes = [
        Node(name, draw(labels), draw(labels), draw(states), draw(hrefs)) for name in names[:9]
    ]
    nodes += [Node(name, name) for name in names[9:]]
    ends = st.sampled_from([*names[:12], "nobody"])
    return Graph(
        title=draw(labels),
        nodes=nodes,
        edges=draw(st.lists(st.builds(Edge, ends, ends, labels), max_size=14)),
    )


charts: st.SearchStrategy[Chart] = st.one_of(
    line_charts(),
    bar_charts(),
    sparklines(),
    heat_maps(),
    histograms(),
    forests,
    progresses,
    steppers,
    graphs(),
)
