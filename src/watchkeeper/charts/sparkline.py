"""A line as small as a word, for lists of models: no axes, only its course and where it stands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from watchkeeper.charts.line import extent
from watchkeeper.charts.markup import joined, number, tag
from watchkeeper.charts.numbers import as_tabled, column, exact
from watchkeeper.charts.scale import floats
from watchkeeper.charts.table import Table
from watchkeeper.charts.time_axis import OverTime, require_length, runs

__all__ = ["Sparkline"]

_WIDTH, _HEIGHT, _EDGE = 120.0, 28.0, 4.0


@dataclass(frozen=True, kw_only=True)
class Sparkline(OverTime):
    """A line of 120 by 28 pixels, with a dot where it stands now.

    Parameters
    ----------
    values : sequence of float or None
        One for each bucket.
    limit : float, optional
        A dashed line to stay on one side of.
    zero : bool
        Whether the line is drawn against zero.
    """

    values: Sequence[float | None]
    limit: float | None = None
    zero: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_length("values", self.values, self)

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        values = [v if math.isfinite(v) else math.nan for v in self._numbers]
        measured = [value for value in values if not math.isnan(value)]
        if measured:
            drawn = self._drawn(values, measured)
        else:
            drawn = [tag("path", class_="c-gap-line", d=f"M4 {_HEIGHT / 2:g}H{_WIDTH - 4:g}")]
        return tag(
            "svg", self._spans(), *drawn, class_="spark", viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
            width=_WIDTH, height=_HEIGHT, role="img",
            aria_label=f"{self.title}: {self.gist()}" if self.title else self.gist(),
        )  # fmt: skip

    def table(self) -> Table:
        """Return the figures: a row for each bucket.

        Returns
        -------
        Table
        """
        names, columns = [column("value", self.unit)], [self._numbers]
        if self.limit is not None:
            names.append(column("limit", self.unit))
            columns.append(floats([self.limit] * len(self.times)))
        tabled = [[as_tabled(value, self.unit) for value in values] for values in columns]
        return Table(columns=("from", "to", *names, "notes"), rows=self.tabled(tabled))

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        sentences = [extent(self._numbers, self.unit) if len(self.values) else "no data"]
        if self.limit is not None:
            sentences.append(f"limit {exact(self.limit, self.unit)}")
        return "; ".join([*sentences, *self.told_over()])

    @cached_property
    def _numbers(self) -> list[float]:
        return floats(self.values)

    def _drawn(self, values: Sequence[float], measured: Sequence[float]) -> list[Markup]:
        limit = self.limit if self.limit is not None and math.isfinite(self.limit) else None
        ends = [*measured, *([limit] if limit is not None else []), *([0.0] if self.zero else [])]
        low, high = max(min(ends), -1e300), min(max(ends), 1e300)
        parts = []
        if limit is not None:
            y = number(_level(limit, low, high))
            parts.append(tag("path", class_="c-reference", d=f"M0 {y}H{_WIDTH:g}"))
        parts += self._line(values, low, high)
        for mark in self.shown_marks():
            x = min(max(self.share(mark.at) * _WIDTH, 2.5), _WIDTH - 2.5)
            parts.append(tag("path", tag("title", mark.words), d=f"M{number(x)} 0l2.5 4.5h-5z",
                             class_=f"c-mark c-mark-{mark.kind}"))  # fmt: skip
        return parts

    def _line(self, values: Sequence[float], low: float, high: float) -> list[Markup]:
        x = [f"{_EDGE + (_WIDTH - 2 * _EDGE) * middle:.1f}" for middle in self.middles]
        path, dots, last = [], [], 0
        for first, after in runs(values):
            points = [f"{x[i]} {_level(values[i], low, high):.1f}" for i in range(first, after)]
            last = after - 1
            if len(points) > 1:
                path.append("M" + "L".join(points))
            else:
                dots.append(_dot(self.middles[first], _level(values[first], low, high), 1.5))
        dots.append(_dot(self.middles[last], _level(values[last], low, high), 2.5))
        line = [tag("path", class_="c-line c-line-0", d="".join(path))] if path else []
        return line + dots

    def _spans(self) -> Markup:
        return joined(
            tag("rect", x=low * _WIDTH, y=0.0, width=(high - low) * _WIDTH, height=_HEIGHT,
                class_=f"c-span c-span-{span.kind}")
            for span, low, high in self.shown_spans()
        )  # fmt: skip


def _level(value: float, low: float, high: float) -> float:
    """Return a height; a line that never moves lies in the middle."""
    if not high - low > 1e-290:
        return _HEIGHT / 2
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return _HEIGHT - _EDGE - min(max(share, 0.0), 1.0) * (_HEIGHT - 2 * _EDGE)


def _dot(middle: float, y: float, radius: float) -> Markup:
    return tag("circle", class_="c-dot c-dot-0", cx=_EDGE + (_WIDTH - 2 * _EDGE) * middle, cy=y,
               r=radius)  # fmt: skip
