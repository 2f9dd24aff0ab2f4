"""What all charts over time share: buckets on a clock, stretches, marks, what one hovers over."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from itertools import pairwise

from markupsafe import Markup

from watchkeeper.charts import ticks
from watchkeeper.charts.annotations import Mark, Span, lanes, marked, shape
from watchkeeper.charts.canvas import Header
from watchkeeper.charts.markup import joined, number, percent, tag
from watchkeeper.charts.table import Entry
from watchkeeper.charts.text_width import isolated, width_of
from watchkeeper.charts.times import moment, period
from watchkeeper.errors import InvalidValueError

__all__ = ["OverTime", "require_length", "runs"]

_HITS = 130  # rectangles to hover over; more buckets than that share one
_LANE = 14.0
_NEAR = 0.04  # of the width: marks closer than that stand in two lanes
_PLOT, _DESK = 280.0, 460.0  # pixels across a plot on a phone, and at least elsewhere


@dataclass(frozen=True, kw_only=True)
class OverTime:
    """Buckets of time, one after the other, and what lies over them.

    Parameters
    ----------
    title : str
        What the chart shows.
    unit : str
        Of the values; ``"%"`` means that they are shares: 0.912 is drawn as 91.2 %.
    zone : tzinfo
        Whose clock the axis follows.
    times : sequence of datetime
        Starts of the buckets, ascending. A bucket ends where the next one starts.
    end : datetime
        End of the last one.
    spans : sequence of Span
        Stretches of time to shade; outside the buckets they are in the table only.
    marks : sequence of Mark
        What was done or happened; likewise.

    Raises
    ------
    InvalidValueError
        If a time has no zone, or the times do not ascend.
    """

    title: str
    unit: str = ""
    zone: tzinfo = UTC
    times: Sequence[datetime]
    end: datetime
    spans: Sequence[Span] = field(default=())
    marks: Sequence[Mark] = field(default=())

    def __post_init__(self) -> None:
        edges = (*self.times, self.end)
        for at in edges:
            if at.tzinfo is None:
                raise InvalidValueError("times", at, "times with a zone")
        for before, after in pairwise(edges):
            if not before < after:
                raise InvalidValueError("times", after, f"a time after {before.isoformat()}")

    @cached_property
    def edges(self) -> list[float]:
        """Where the buckets start, and the last one ends, as shares of the width."""
        return [self.share(at) for at in (*self.times, self.end)] if self.times else []

    @cached_property
    def middles(self) -> list[float]:
        """The middles of the buckets, as shares of the width."""
        return [(low + high) / 2 for low, high in pairwise(self.edges)]

    def share(self, at: datetime) -> float:
        """Return where an instant lies: 0 at the start, 1 at the end, beyond them outside.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        float
        """
        start = self.times[0]
        return (at - start) / (self.end - start)

    def bucket(self, index: int) -> tuple[datetime, datetime]:
        """Return start and end of a bucket.

        Parameters
        ----------
        index : int

        Returns
        -------
        tuple of datetime and datetime
        """
        after = index + 1
        return self.times[index], self.times[after] if after < len(self.times) else self.end

    def ticks(self) -> list[tuple[float, ticks.Tick]]:
        """Return the round times, with their share of the width.

        Returns
        -------
        list of (float, Tick)
        """
        if not self.times:
            return []
        marks = ticks.times(self.times[0], self.end, self.zone)
        return [(self.share(tick.at), tick) for tick in marks]

    def shown_marks(self) -> list[Mark]:
        """Return the marks within the time that is shown, in order.

        Returns
        -------
        list of Mark
        """
        if not self.times:
            return []
        inside = (mark for mark in self.marks if self.times[0] <= mark.at <= self.end)
        return sorted(inside, key=lambda mark: mark.at)

    def mark_key(self) -> list[Header]:
        """Return the key of the marks that are shown.

        Returns
        -------
        list of Header
        """
        kinds = dict.fromkeys(mark.kind for mark in self.shown_marks())
        return [(shape(kind), kind) for kind in kinds]

    def lanes(self) -> list[int]:
        """Return in which lane each of the shown marks stands.

        Returns
        -------
        list of int
            0 for the lower lane and 1 for the upper.
        """
        return lanes([self.share(mark.at) for mark in self.shown_marks()], _NEAR)

    def strip(self) -> float:
        """Return how many pixels the marks take above the plot.

        Returns
        -------
        float
        """
        used = self.lanes()
        return (max(used) + 1) * _LANE + 4.0 if used else 0.0

    def draw_marks(self, top: float, bottom: float) -> tuple[Markup, Markup]:
        """Return the thin lines of the marks across the plot, and the shapes above it.

        Parameters
        ----------
        top, bottom : float
            Of the plot, in pixels.

        Returns
        -------
        tuple of Markup and Markup
            Lines and shapes.
        """
        lines, shapes = [], []
        for mark, lane in zip(self.shown_marks(), self.lanes(), strict=True):
            x, y = percent(self.share(mark.at)), top - 9.0 - lane * _LANE
            tooltip = f"{isolated(mark.words)}, {moment(mark.at, self.zone)}"
            lines.append(tag("line", x1=x, x2=x, y1=y, y2=bottom, class_="c-mark-line"))
            shapes.append(marked(mark, x, y, tooltip))
        return joined(lines), joined(shapes)

    def draw_spans(self, top: float, bottom: float, *, labelled: bool = True) -> Markup:
        """Return the shaded stretches, labelled where there is room.

        Parameters
        ----------
        top, bottom : float
            Of the plot, in pixels.
        labelled : bool

        Returns
        -------
        Markup
        """
        parts = []
        for span, low, high in self.shown_spans():
            x, width = percent(low), percent(high - low)
            kind = f"c-span c-span-{span.kind}"
            parts.append(tag("rect", x=x, y=top, width=width, height=bottom - top, class_=kind))
            parts.append(tag("line", x1=x, x2=percent(high), y1=top, y2=top,
                             class_=f"c-edge-{span.kind}"))  # fmt: skip
            room = width_of(span.label[:80], 11.0) + 12.0
            if labelled and span.label and room <= _DESK * (high - low):
                narrow = "" if room <= _PLOT * (high - low) else " c-wide"
                label = tag("text", span.label, x=6.0, y=14.0, class_=f"c-span-label{narrow}")
                parts.append(tag("svg", label, x=x, y=top, class_="c-at"))
        return joined(parts)

    def hits(self, top: float, bottom: float, texts: Callable[[int, int], list[str]]) -> Markup:
        """Return what one hovers over: a rectangle for each bucket, or for a few.

        Parameters
        ----------
        top, bottom : float
            Of the plot, in pixels.
        texts : callable
            Given the first bucket and the one after the last, what is said of them, by lines.

        Returns
        -------
        Markup
        """
        every = math.ceil(len(self.times) / _HITS) or 1
        parts = []
        for first in range(0, len(self.times), every):
            after = min(first + every, len(self.times))
            low, high = self.edges[first], self.edges[after]
            text = "\n".join(
                [self.period(first, after), *texts(first, after), *self.near(first, after)]
            )
            parts.append(tag("rect", tag("title", text), class_="hit", x=percent(low), y=top,
                             width=percent(high - low), height=bottom - top,
                             data_x=number(50.0 * (low + high)), data_text=text))  # fmt: skip
        return joined(parts)

    def period(self, first: int, after: int) -> str:
        """Return the time of some buckets in words.

        Parameters
        ----------
        first : int
            Index of the first bucket.
        after : int
            Index of the one after the last.

        Returns
        -------
        str
        """
        return period(self.times[first], self.bucket(after - 1)[1], self.zone)

    def near(self, first: int, after: int) -> list[str]:
        """Return what is said of spans and marks in some buckets.

        Parameters
        ----------
        first : int
            Index of the first bucket.
        after : int
            Index of the one after the last.

        Returns
        -------
        list of str
        """
        start, end = self.times[first], self.bucket(after - 1)[1]
        return [
            _range_text(span) for span in self.spans if span.start < end and span.end > start
        ] + [
            isolated(mark.words)
            for mark in self.marks
            if start <= mark.at < end or mark.at == end == self.end
        ]

    def told_over(self) -> list[str]:
        """Return spans and marks in words, for the gist.

        Returns
        -------
        list of str
        """
        shown = self.shown_marks()
        lines = [
            f"{_range_text(span)} {period(span.start, span.end, self.zone)}"
            for span, _, _ in self.shown_spans()
        ]
        lines += [f"{isolated(mark.words)} on {moment(mark.at, self.zone)}" for mark in shown]
        return lines if len(lines) <= 6 else [*lines[:6], f"{len(lines) - 6} more in the table"]

    def tabled(self, columns: Sequence[Sequence[Entry]]) -> list[tuple[Entry, ...]]:
        """Return rows of a table: the bucket, its figures, and what lies over it.

        Parameters
        ----------
        columns : sequence of sequence of Entry
            Figures by column, one for each bucket.

        Returns
        -------
        list of tuple of Entry
        """
        rows: list[tuple[Entry, ...]] = []
        for index in range(len(self.times)):
            notes = "; ".join(self.near(index, index + 1))
            figures = (column[index] for column in columns)
            rows.append((*self.bucket(index), *figures, notes))
        nothing = (None,) * len(columns)
        return rows + [(start, end, *nothing, note) for start, end, note in self.outside()]

    def outside(self) -> Iterator[tuple[datetime, datetime, str]]:
        """Yield the spans and marks that lie over no bucket.

        Yields
        ------
        tuple of datetime, datetime and str
            Start, end and text.
        """
        start = self.times[0] if self.times else None
        for span in self.spans:
            if start is None or span.end <= start or span.start >= self.end:
                yield span.start, span.end, _range_text(span)
        for mark in self.marks:
            if start is None or not start <= mark.at <= self.end:
                yield mark.at, mark.at, isolated(mark.words)

    def shown_spans(self) -> Iterator[tuple[Span, float, float]]:
        """Yield the spans within the time that is shown, with the shares they start and end at.

        Yields
        ------
        tuple of Span, float and float
            The span, and its start and end as shares of the width.
        """
        for span in self.spans if self.times else ():
            low, high = max(0.0, self.share(span.start)), min(1.0, self.share(span.end))
            if low < high:
                yield span, low, high


def require_length(field: str, values: Sequence[object], chart: OverTime) -> None:
    """Refuse a row of values that has not one for each bucket.

    Parameters
    ----------
    field : str
        What to call the values in an error.
    values : sequence of object
    chart : OverTime

    Raises
    ------
    InvalidValueError
        If the lengths differ.
    """
    expected = len(chart.times)
    if len(values) != expected:
        raise InvalidValueError(field, len(values), f"{expected} values, one for each bucket")


def runs(values: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield the stretches without a gap: first index, and the one after the last.

    Parameters
    ----------
    values : sequence of float
        NaN where there is a gap.

    Yields
    ------
    tuple of int and int

    Examples
    --------
    >>> list(runs([1.0, math.nan, 2.0, 3.0]))
    [(0, 1), (2, 4)]
    """
    first: int | None = None
    for index, value in enumerate(values):
        if math.isnan(value):
            if first is not None:
                yield first, index
            first = None
        elif first is None:
            first = index
    if first is not None:
        yield first, len(values)


def _range_text(span: Span) -> str:
    return f"{span.kind}: {isolated(span.label)}" if span.label else span.kind
