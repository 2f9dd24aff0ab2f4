"""Lines over time, with their uncertainty, what they are held against, and what was done meanwhile.

>>> from datetime import UTC, datetime, timedelta
>>> monday = datetime(2026, 11, 23, tzinfo=UTC)
>>> chart = LineChart(
...     title="Accuracy of flights", unit="%", end=monday + timedelta(days=3),
...     times=[monday + timedelta(days=day) for day in range(3)],
...     series=[Series("accuracy", [0.92, None, 0.9])],
...     references=[Reference("limit", 0.91)],
... )
>>> print(chart.gist())
23 Nov 2026 to 25 Nov 2026; accuracy: last 90 %, between 90 % and 92 %; limit: 91 %
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup

from watchkeeper.charts.annotations import Reference
from watchkeeper.charts.canvas import (
    AXIS,
    WIDE,
    Header,
    canvas,
    empty,
    header,
    stretched,
    time_axis,
    value_axis,
)
from watchkeeper.charts.markup import joined, number, percent, tag
from watchkeeper.charts.numbers import as_tabled, column, exact
from watchkeeper.charts.scale import Scale, fitted, floats
from watchkeeper.charts.table import Entry, Table
from watchkeeper.charts.text_width import cut, isolated
from watchkeeper.charts.time_axis import OverTime, require_length, runs

__all__ = ["LineChart", "Reference", "Series", "draw_references", "extent"]

_STYLES = 6
_LABEL = 14.0  # pixels between the labels of two references
_LONG = 220.0  # pixels of the longest of them
_LATE = 0.2  # of the values lie where the labels are


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a value for each bucket, None or NaN where there is no data.

    Parameters
    ----------
    label : str
        What the line is.
    values : sequence of float or None
        One for each bucket.
    low, high : sequence of float or None, optional
        Ends of the interval around each value, drawn as a band.
    style : int
        Colour and dashes, one of six that differ in both.
    """

    label: str
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    style: int = 0

    def numbers(self) -> list[float]:
        """Return the values, NaN where there is none.

        Returns
        -------
        list of float
        """
        return floats(self.values)

    def band(self) -> tuple[list[float], list[float]] | None:
        """Return the ends of the intervals, both NaN where one is not known.

        Returns
        -------
        tuple of list of float and list of float, or None
            Low and high ends; None where the series has no intervals.
        """
        if self.low is None or self.high is None:
            return None
        low, high = floats(self.low), floats(self.high)
        both = [math.isnan(a) or math.isnan(b) for a, b in zip(low, high, strict=True)]
        return (
            [math.nan if gone else a for a, gone in zip(low, both, strict=True)],
            [math.nan if gone else b for b, gone in zip(high, both, strict=True)],
        )

    def class_of(self, kind: str) -> str:
        """Return the class of its line, band or dots.

        Parameters
        ----------
        kind : str
            Such as ``line``, ``band`` or ``dot``.

        Returns
        -------
        str
        """
        return f"c-{kind} c-{kind}-{self.style % _STYLES}"


@dataclass(frozen=True, kw_only=True)
class LineChart(OverTime):
    """Lines over time.

    Parameters
    ----------
    series : sequence of Series
        The lines.
    references : sequence of Reference
        Values to compare with, drawn across as dashed lines.
    zero : bool
        Whether the axis has to include zero.
    log : bool
        Whether the axis is logarithmic; values of zero and less are gaps then.
    height : int
        Pixels of plot and time axis; key and marks stand above them.
    """

    series: Sequence[Series]
    references: Sequence[Reference] = field(default=())
    zero: bool = False
    log: bool = False
    height: int = 220

    def __post_init__(self) -> None:
        super().__post_init__()
        for one in self.series:
            for values in (one.values, one.low, one.high):
                if values is not None:
                    require_length(f"series {one.label!r}", values, self)

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        entries = self._key()
        taken = header(self.unit, entries)[1] + self.strip()
        top, bottom = taken, taken + max(self.height - AXIS, 40.0)
        scale = self._scale(top, bottom)
        values = self._has_values()
        axis, left = value_axis(scale, self.unit) if values else (empty((top + bottom) / 2), 0)
        lines, shapes = self.draw_marks(top, bottom)
        drawing = [header(self.unit, entries, left)[0], axis, self.draw_spans(top, bottom), lines]
        drawing.append(time_axis(self.ticks(), bottom, left))
        if values:
            drawing += [*self._draw(scale, top, bottom), self.hits(top, bottom, self._texts)]
        return canvas(title=self.title, gist=self.gist(), height=bottom + AXIS, left=left,
                      drawing=drawing, links=[shapes])  # fmt: skip

    def table(self) -> Table:
        """Return the figures: a row for each bucket.

        Returns
        -------
        Table
        """
        names: list[str] = []
        columns: list[list[Entry]] = []
        for one in self.series:
            parts = [(one.label, one.values), (f"{one.label}, low", one.low)]
            for label, values in [*parts, (f"{one.label}, high", one.high)]:
                if values is not None:
                    names.append(column(label, self.unit))
                    columns.append([as_tabled(value, self.unit) for value in floats(values)])
        for reference in self.references:
            names.append(column(reference.label, self.unit))
            columns.append([as_tabled(reference.value, self.unit)] * len(self.times))
        return Table(columns=("from", "to", *names, "notes"), rows=self.tabled(columns))

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        if not self.times or not self.series:
            return "no data"
        sentences = [(one.label, extent(one.numbers(), self.unit)) for one in self.series]
        sentences += [(one.label, exact(one.value, self.unit)) for one in self.references]
        parts = [f"{isolated(label)}: {figure}" for label, figure in sentences]
        return "; ".join([self.period(0, len(self.times)), *parts, *self.told_over()])

    @cached_property
    def _drawn(self) -> list[tuple[Series, list[float]]]:
        """The series with what of their values can be drawn: infinite ones cannot."""
        return [
            (one, [v if math.isfinite(v) and (v > 0 or not self.log) else math.nan
                   for v in one.numbers()])
            for one in self.series
        ]  # fmt: skip

    def _has_values(self) -> bool:
        return any(not math.isnan(value) for _, values in self._drawn for value in values)

    def _key(self) -> list[Header]:
        if len(self.series) < 2:
            return self.mark_key()
        lines = [
            (tag("line", x1=-9.0, x2=9.0, y1=0.0, y2=0.0, class_=one.class_of("line")), one.label)
            for one in self.series
        ]
        return lines + self.mark_key()

    def _scale(self, top: float, bottom: float) -> Scale:
        values = [value for _, values in self._drawn for value in values]
        values += floats(one.value for one in self.references)
        bands = [one.band() for one in self.series]
        edges = [edge for band in bands if band for side in band for edge in side]
        return fitted(
            values, edges, top=top, bottom=bottom, unit=self.unit, zero=self.zero, log=self.log
        )

    def _draw(self, scale: Scale, top: float, bottom: float) -> list[Markup]:
        bands, lines, dots = [], [], []
        for one, values in self._drawn:
            bands += self._band(one, scale, top)
            path = []
            for first, after in runs(values):
                points = [
                    f"{number(WIDE * self.middles[i])} {number(scale.at(values[i]) - top)}"
                    for i in range(first, after)
                ]
                if after - first > 1:
                    path.append("M" + "L".join(points))
                if after - first == 1 or after == len(values):
                    last = after - 1
                    dots.append(tag("circle", cx=percent(self.middles[last]),
                                    cy=scale.at(values[last]), r=3.0,
                                    class_=one.class_of("dot")))  # fmt: skip
            if path:
                lines.append(tag("path", d="".join(path), class_=one.class_of("line")))
        late = [
            scale.at(value)
            for _, values in self._drawn
            for value in values[-math.ceil(len(values) * _LATE) :]
            if not math.isnan(value)
        ]
        references = draw_references(self.references, scale, self.unit, late)
        return [stretched(top, bottom, *bands), references[0], stretched(top, bottom, *lines),
                *dots, references[1]]  # fmt: skip

    def _band(self, one: Series, scale: Scale, top: float) -> list[Markup]:
        band = one.band()
        if band is None:
            return []
        low, high = ([scale.at(v) - top if not math.isnan(v) else v for v in side] for side in band)
        paths = []
        for first, after in runs(low):
            x = [number(WIDE * self.middles[index]) for index in range(first, after)]
            upper = [f"{at} {number(y)}" for at, y in zip(x, high[first:after], strict=True)]
            lower = [f"{at} {number(y)}" for at, y in zip(x, low[first:after], strict=True)]
            if len(x) == 1:
                paths.append(
                    tag("path", d=f"M{upper[0]}L{lower[0]}", class_=one.class_of("whisker"))
                )
            else:
                d = "M" + "L".join(upper + lower[::-1]) + "z"
                paths.append(tag("path", d=d, class_=one.class_of("band")))
        return paths

    @cached_property
    def _drawn_series(
        self,
    ) -> list[tuple[Series, list[float], tuple[list[float], list[float]] | None]]:
        """The series with their values and bands, as they were given."""
        return [(one, one.numbers(), one.band()) for one in self.series]

    def _texts(self, first: int, after: int) -> list[str]:
        lines = []
        for one, numbers, band in self._drawn_series:
            values = [v for v in numbers[first:after] if not math.isnan(v)]
            figure = exact(values[-1] if values else math.nan, self.unit)
            if len(values) > 1:
                figure = f"{exact(min(values), self.unit)} to {exact(max(values), self.unit)}"
            elif values and after - first == 1 and band is not None:
                low, high = band[0][first], band[1][first]
                if not math.isnan(low):
                    figure += f" ({exact(low, self.unit)} to {exact(high, self.unit)})"
            lines.append(f"{isolated(one.label)} {figure}".strip())
        return lines


def extent(values: Sequence[float], unit: str) -> str:
    """Return the last value and between which ones all lie, in words.

    Parameters
    ----------
    values : sequence of float
        NaN where there is no data.
    unit : str

    Returns
    -------
    str
    """
    measured = [value for value in values if not math.isnan(value)]
    if not measured:
        return "no data"
    low, high, last = min(measured), max(measured), measured[-1]
    sentence = f"last {exact(last, unit)}"
    if math.isnan(values[-1]):
        sentence += ", no data at the end"
    return (
        sentence
        if low == high
        else f"{sentence}, between {exact(low, unit)} and {exact(high, unit)}"
    )


def draw_references(
    references: Sequence[Reference], scale: Scale, unit: str, near: Sequence[float] = ()
) -> tuple[Markup, Markup]:
    """Return the dashed lines, and their labels at the right end, clear of each other.

    Parameters
    ----------
    references : sequence of Reference
        What to draw.
    scale : Scale
        Of the plot.
    unit : str
        Of the values.
    near : sequence of float
        Heights of what is drawn at the right end; a label goes to the side where less is.

    Returns
    -------
    tuple of Markup and Markup
        Lines and labels.
    """
    lines, labels = [], []
    at = [
        (scale.at(one.value), one)
        for one in references
        if math.isfinite(one.value) and (one.value > 0 or not scale.log)
    ]
    taken: list[float] = []
    for y, one in sorted(at, key=lambda pair: pair[0]):
        lines.append(tag("line", x1=0.0, x2="100%", y1=y, y2=y, class_="c-reference"))
        free = [
            level
            for level in (y - 5.0, y + 12.0, y + 12.0 + _LABEL, y - 5.0 - _LABEL)
            if scale.top + 9.0 <= level <= scale.bottom - 2.0
            and all(abs(level - other) >= _LABEL for other in taken)
        ]
        if free:  # where all is full the line is in the gist and in the table
            baseline = min(
                free[:2], key=lambda low: sum(abs(low - 4.0 - other) < 9 for other in near)
            )
            taken.append(baseline)
            figure = exact(one.value, unit if unit in {"%", "ms", "s"} else "")
            text = f"{isolated(cut(one.label, _LONG, 11.0))} {figure}".strip()
            labels.append(tag("text", text, x="100%", y=baseline, class_="c-end c-label"))
    return joined(lines), joined(labels)
