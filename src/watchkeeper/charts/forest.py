"""Estimates with their intervals, one below the other, against a line of no effect.

>>> chart = IntervalChart(
...     title="Difference of accuracy", unit="%",
...     rows=[Interval("all", 0.012, 0.004, 0.02), Interval("EWR", 0.01, 0.001, math.inf)],
... )
>>> print(chart.gist())
all: 1.2 % (0.4 % to 2 %); EWR: 1 % (0.1 % to ∞); no difference: 0 %
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from watchkeeper.charts.canvas import AXIS, GUTTER, canvas, empty, gutter_for
from watchkeeper.charts.markup import joined, percent, tag
from watchkeeper.charts.numbers import as_tabled, column, exact, on_axis
from watchkeeper.charts.scale import Scale, fitted, floats
from watchkeeper.charts.table import Table
from watchkeeper.charts.text_width import cut, isolated

__all__ = ["Interval", "IntervalChart", "Tone"]

Tone = Literal["", "good", "bad", "mute"]

_ROW = 30.0
_ARROWS = {"left": "M0 0L7-4V4z", "right": "M0 0L-7-4V4z"}


@dataclass(frozen=True, slots=True)
class Interval:
    """One row: an estimate and between which values it may lie; None is not known."""

    label: str
    estimate: float | None
    low: float | None = None
    high: float | None = None
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class IntervalChart:
    """A forest plot.

    Parameters
    ----------
    title : str
        What the chart shows.
    unit : str
        Of the values; ``"%"`` means that they are shares.
    rows : sequence of Interval
        From the top down. An infinite end is drawn as an arrow.
    null : float, optional
        Where there is no effect.
    margin : float, optional
        How much worse is still good enough.
    null_label, margin_label : str
        What the two lines are.
    """

    title: str
    unit: str = ""
    rows: Sequence[Interval]
    null: float | None = 0.0
    null_label: str = "no difference"
    margin: float | None = None
    margin_label: str = "margin"

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        top, bottom = 24.0, 24.0 + _ROW * max(1, len(self.rows))
        finite = [value for row in self.rows for value in _numbers(row) if math.isfinite(value)]
        common = {"title": self.title, "gist": self.gist(), "height": bottom + AXIS}
        if not finite:
            return canvas(drawing=[empty((top + bottom) / 2)], **common)  # type: ignore[arg-type]
        lines = [value for value in (self.null, self.margin) if value is not None]
        scale = fitted([*finite, *floats(lines)], top=0.0, bottom=1.0, unit=self.unit, count=4)
        parts = [self._axis(scale, top, bottom), *self._lines(scale, top, bottom)]
        for index, row in enumerate(self.rows):
            parts += self._row(row, scale, top + _ROW * index)
        left = gutter_for([row.label or "(no name)" for row in self.rows])
        return canvas(drawing=parts, left=left, right="pr-figures", **common)  # type: ignore[arg-type]

    def table(self) -> Table:
        """Return the figures: a row for each estimate.

        Returns
        -------
        Table
        """
        names = [column(name, self.unit) for name in ("estimate", "low", "high")]
        rows = [
            (row.label, *(_tabled(value, self.unit) for value in _numbers(row)))
            for row in self.rows
        ]
        for label, value in ((self.null_label, self.null), (self.margin_label, self.margin)):
            if value is not None:
                rows.append((label, _tabled(value, self.unit), None, None))
        return Table(columns=("row", *names), rows=list(rows))

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        if not self.rows:
            return "no data"
        sentences = [f"{isolated(row.label)}: {self._figures(row)}" for row in self.rows[:8]]
        if len(self.rows) > 8:
            sentences.append(f"{len(self.rows) - 8} more in the table")
        for label, value in ((self.null_label, self.null), (self.margin_label, self.margin)):
            if value is not None:
                sentences.append(f"{isolated(label)}: {exact(value, self.unit)}")
        return "; ".join(sentences)

    def _figures(self, row: Interval) -> str:
        estimate, low, high = _numbers(row)
        if math.isnan(low) or math.isnan(high):
            return exact(estimate, self.unit)
        return f"{exact(estimate, self.unit)} ({exact(low, self.unit)} to {exact(high, self.unit)})"

    def _axis(self, scale: Scale, top: float, bottom: float) -> Markup:
        parts = [tag("line", x1=0.0, x2="100%", y1=bottom, y2=bottom, class_="c-axis")]
        for index, value in enumerate(scale.ticks):
            x, first, last = _across(scale, value), index == 0, index == len(scale.ticks) - 1
            where = "c-start" if first else "c-end" if last else "c-mid"
            narrow = "" if len(scale.ticks) <= 4 or index % 2 == 0 else " c-wide"
            label = on_axis(value, scale.step, self.unit)
            parts.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="c-grid"))
            parts.append(tag("text", label, x=x, y=bottom + 17.0, class_=where + narrow))
        return joined(parts)

    def _lines(self, scale: Scale, top: float, bottom: float) -> list[Markup]:
        """Return null and margin, labelled on the sides where they do not meet."""
        pairs = [
            (self.null, self.null_label, "c-zero"),
            (self.margin, self.margin_label, "c-reference"),
        ]
        finite = [
            (v, label, kind) for v, label, kind in pairs if v is not None and math.isfinite(v)
        ]
        finite.sort(key=lambda pair: pair[0])
        parts = []
        for index, (value, label, kind) in enumerate(finite):
            x, share = _across(scale, value), 1.0 - scale.at(value)
            where, shift = ("c-end", -4.0) if index == 0 and len(finite) > 1 else ("c-start", 4.0)
            if share > 0.75:
                where, shift = "c-end", -4.0
            elif share < 0.25:
                where, shift = "c-start", 4.0
            if len(finite) == 1 and 0.25 <= share <= 0.75:
                where, shift = "c-mid", 0.0
            parts.append(tag("line", x1=x, x2=x, y1=top - 4.0, y2=bottom, class_=kind))
            text = tag("text", cut(label, 130.0, 11.0), x=shift, y=16.0, class_=f"{where} c-label")
            parts.append(tag("svg", text, x=x, y=0.0, class_="c-at"))
        return parts

    def _row(self, row: Interval, scale: Scale, y: float) -> list[Markup]:
        estimate, low, high = _numbers(row)
        middle, tone = y + _ROW / 2, f" c-tone-{row.tone}" if row.tone else ""
        shown = cut(row.label, GUTTER - 12.0) or "(no name)"
        parts = [tag("text", shown, x=-8.0, y=middle + 4.0, class_="c-end")]
        if not (math.isnan(low) or math.isnan(high)):
            left, right = _across(scale, min(low, high)), _across(scale, max(low, high))
            parts.append(tag("line", x1=left, x2=right, y1=middle, y2=middle,
                             class_=f"c-interval{tone}"))  # fmt: skip
            for x, value, side in ((left, low, "left"), (right, high, "right")):
                d = _ARROWS[side] if math.isinf(value) else "M0-4V4"
                kind = "c-arrow" if math.isinf(value) else "c-interval"
                end = tag("path", d=d, class_=kind + tone)
                parts.append(tag("svg", end, x=x, y=middle, class_="c-at"))
        if math.isfinite(estimate):
            parts.append(tag("circle", cx=_across(scale, estimate), cy=middle, r=4.5,
                             class_=f"c-estimate{tone}"))  # fmt: skip
        figures = self._figures(row)
        parts.append(self._written(row, middle))
        tooltip = f"{isolated(row.label)}\n{figures}"
        parts.append(tag("rect", tag("title", tooltip), class_="hit", x=0.0, y=y, width="100%",
                         height=_ROW, data_x="50", data_text=tooltip))  # fmt: skip
        return parts

    def _written(self, row: Interval, middle: float) -> Markup:
        """Return the figures to the right of the plot, where there is room beside it."""
        text = tag("text", cut(self._figures(row), 190.0, 11.0), x=12.0, y=middle + 4.0,
                   class_="c-start c-figures c-wide")  # fmt: skip
        return tag("svg", text, x="100%", y=0.0, class_="c-at")


def _numbers(row: Interval) -> tuple[float, float, float]:
    estimate, low, high = floats((row.estimate, row.low, row.high))
    return estimate, low, high


def _across(scale: Scale, value: float) -> str:
    return percent(1.0 - scale.at(value))


def _tabled(value: float, unit: str) -> float | str | None:
    """Return a figure as a table holds it; that an interval is open is not lost."""
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return as_tabled(value, unit)
