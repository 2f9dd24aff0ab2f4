"""How much there was, bucket by bucket, and how much of it failed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup

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
from watchkeeper.charts.line import Reference, draw_references
from watchkeeper.charts.markup import number, percent, tag
from watchkeeper.charts.numbers import as_tabled, column, exact
from watchkeeper.charts.scale import Scale, fitted, floats
from watchkeeper.charts.table import Entry, Table
from watchkeeper.charts.text_width import isolated
from watchkeeper.charts.time_axis import OverTime, require_length, runs

__all__ = ["BarChart"]

_LEAST = 2.0  # pixels of a bar: three failures among a million have to be seen
_DENSE = 150  # bars beyond which there is no room between them


@dataclass(frozen=True, kw_only=True)
class BarChart(OverTime):
    """Amounts over time, in one or two parts.

    Parameters
    ----------
    values : sequence of float or None
        One for each bucket; negative ones count as zero. None is no data, which is not zero.
    failed : sequence of float or None, optional
        Drawn on top of them.
    label, failed_label : str
        What the parts are.
    references : sequence of Reference
        Amounts to compare with.
    height : int
        Pixels of plot and time axis; key and marks stand above them.
    """

    unit: str = "predictions"
    values: Sequence[float | None]
    failed: Sequence[float | None] | None = None
    label: str = "answered"
    failed_label: str = "failed"
    references: Sequence[Reference] = field(default=())
    height: int = 160

    def __post_init__(self) -> None:
        super().__post_init__()
        require_length("values", self.values, self)
        if self.failed is not None:
            require_length("failed", self.failed, self)

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        entries = self._key()
        taken = header(self.unit, entries)[1] + self.strip()
        top, bottom = taken, taken + max(self.height - AXIS, 40.0)
        good, bad = self._parts
        sums = [a + b for a, b in zip(good, bad, strict=True) if not math.isnan(a)]
        amounts = [*sums, *floats(one.value for one in self.references)]
        scale = fitted(amounts, top=top, bottom=bottom, unit=self.unit, zero=True)
        axis, left = value_axis(scale, self.unit) if sums else (empty((top + bottom) / 2), 0)
        lines, shapes = self.draw_marks(top, bottom)
        drawing = [header(self.unit, entries, left)[0], axis, self.draw_spans(top, bottom), lines]
        if sums:
            references = draw_references(self.references, scale, self.unit)
            drawing += [*self._bars(scale, good, bad), *references]
            drawing.append(self.hits(top, bottom, self._texts))
        drawing.append(time_axis(self.ticks(), bottom, left))
        return canvas(title=self.title, gist=self.gist(), height=bottom + AXIS, left=left,
                      drawing=drawing, links=[shapes])  # fmt: skip

    def table(self) -> Table:
        """Return the figures: a row for each bucket.

        Returns
        -------
        Table
        """
        names = [column(self.label, self.unit)]
        columns: list[list[Entry]] = [[as_tabled(v, self.unit) for v in floats(self.values)]]
        if self.failed is not None:
            names.append(column(self.failed_label, self.unit))
            columns.append([as_tabled(v, self.unit) for v in floats(self.failed)])
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
        good, bad = self._parts
        measured = [index for index, value in enumerate(good) if not math.isnan(value)]
        if not measured:
            return "no data"
        sums = [good[index] + bad[index] for index in measured]
        parts = [self.period(0, len(self.times)), f"{exact(_total(sums), self.unit)} in all"]
        if self.failed is not None:
            failures = exact(_total([bad[index] for index in measured]), "")
            parts.append(f"{failures} {isolated(self.failed_label)}")
        parts.append(f"between {exact(min(sums), '')} and {exact(max(sums), '')} in one bucket")
        if len(measured) < len(good):
            parts.append(f"no data in {len(good) - len(measured)} of {len(good)} buckets")
        return "; ".join([*parts, *self.told_over()])

    def _key(self) -> list[Header]:
        if self.failed is None:
            return self.mark_key()
        box = {"x": -5.0, "y": -5.0, "width": 10.0, "height": 10.0}
        return [
            (tag("rect", class_="c-bar", **box), self.label),
            (tag("rect", class_="c-bar-bad", **box), self.failed_label),
            *self.mark_key(),
        ]

    @cached_property
    def _parts(self) -> tuple[list[float], list[float]]:
        """Return both parts; where only failures are known, nothing was answered."""
        good = [v if math.isfinite(v) else math.nan for v in floats(self.values)]
        if self.failed is None:
            return [max(v, 0.0) if not math.isnan(v) else v for v in good], [0.0] * len(good)
        bad = [v if math.isfinite(v) else math.nan for v in floats(self.failed)]
        pairs = list(zip(good, bad, strict=True))
        gone = [math.isnan(a) and not b > 0 for a, b in pairs]
        return (
            [math.nan if g else _amount(a) for (a, _), g in zip(pairs, gone, strict=True)],
            [_amount(b) for _, b in pairs],
        )

    def _bars(self, scale: Scale, good: Sequence[float], bad: Sequence[float]) -> list[Markup]:
        measured = [not math.isnan(value) for value in good]
        lower = [
            scale.at(a) if here else scale.bottom for a, here in zip(good, measured, strict=True)
        ]
        lower = [min(y, scale.bottom - 1.0) if y < scale.bottom else y for y in lower]
        upper = [
            max(min(scale.at(a + b), y - _LEAST), scale.top - _LEAST) if b > 0 and here else y
            for a, b, y, here in zip(good, bad, lower, measured, strict=True)
        ]
        ground = [scale.bottom] * len(good)
        draw = self._columns if len(good) <= _DENSE else self._area
        gaps = [
            tag("line", x1=percent(self.edges[first]), x2=percent(self.edges[after]),
                y1=scale.bottom - 3.0, y2=scale.bottom - 3.0, class_="c-gap-line")
            for first, after in runs([math.nan if here else 0.0 for here in measured])
        ]  # fmt: skip
        return [*gaps, *draw("c-bar", lower, ground), *draw("c-bar-bad", upper, lower)]

    def _columns(self, kind: str, upper: Sequence[float], lower: Sequence[float]) -> list[Markup]:
        """Return a bar for each bucket, with a little room between them."""
        parts = []
        for index, (high, low) in enumerate(zip(upper, lower, strict=True)):
            if high < low:
                width = 0.8 * (self.edges[index + 1] - self.edges[index])
                x = percent(self.middles[index] - width / 2)
                parts.append(tag("rect", x=x, y=high, width=percent(width), height=low - high,
                                 class_=kind))  # fmt: skip
        return parts

    def _area(self, kind: str, upper: Sequence[float], lower: Sequence[float]) -> list[Markup]:
        """Return all bars as one shape with steps: so many of them would flicker."""
        x = [number(WIDE * edge) for edge in self.edges]
        top = min(upper)
        above = "".join(f"V{number(y - top)}H{x[i + 1]}" for i, y in enumerate(upper))
        count = len(lower)
        below = "".join(f"V{number(lower[i] - top)}H{x[i]}" for i in range(count - 1, -1, -1))
        path = tag("path", d=f"M0 {number(lower[0] - top)}{above}{below}z", class_=kind)
        return [stretched(top, max(lower), path)] if max(lower) > top and upper != lower else []

    def _texts(self, first: int, after: int) -> list[str]:
        good, bad = self._parts
        measured = [index for index in range(first, after) if not math.isnan(good[index])]
        if not measured:
            return ["no data"]
        lines = [f"{isolated(self.label)} {exact(_total([good[i] for i in measured]), self.unit)}"]
        if self.failed is not None:
            failures = exact(_total([bad[i] for i in measured]), self.unit)
            lines.append(f"{isolated(self.failed_label)} {failures}")
        return lines


def _amount(value: float) -> float:
    return 0.0 if math.isnan(value) else max(value, 0.0)


def _total(values: Sequence[float]) -> float:
    return min(sum(values), 1e300)
