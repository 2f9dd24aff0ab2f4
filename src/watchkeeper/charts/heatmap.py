"""Which feature drifted when: a row for each feature, a column for each window."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from markupsafe import Markup

from watchkeeper.charts.canvas import (
    AXIS,
    GUTTER,
    WIDE,
    Header,
    canvas,
    empty,
    gutter_for,
    header,
    stretched,
    time_axis,
)
from watchkeeper.charts.markup import joined, link, number, tag
from watchkeeper.charts.numbers import as_tabled, exact
from watchkeeper.charts.table import Entry, Table
from watchkeeper.charts.text_width import cut, isolated
from watchkeeper.charts.time_axis import OverTime, require_length

__all__ = ["HeatCell", "HeatMap", "HeatRow", "HeatState"]

HeatState = Literal["drifted", "not", "unknown"]

_ROW = 18.0
_CLASSES = 5
_TITLES = 2500  # cells that say what they are; beyond, only those that drifted do
_SAID: dict[HeatState, str] = {"drifted": "drifted", "not": "not drifted", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class HeatCell:
    """How far a feature had moved in one window, between 0 and 1, and whether that is drift."""

    value: float | None
    state: HeatState = "unknown"
    href: str | None = None

    def shade(self) -> int | None:
        """Return which of the five intensities it has, None if it is not known.

        Returns
        -------
        int or None
        """
        if self.value is None or not math.isfinite(self.value):
            return None
        return 0 if self.value <= 0 else min(_CLASSES - 1, int(min(self.value, 1.0) * _CLASSES))


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One feature: a cell for each bucket, None where nothing was measured."""

    label: str
    cells: Sequence[HeatCell | None]
    href: str | None = None


class _CellRun(NamedTuple):
    """Neighbours that look the same and lead to the same page."""

    first: int
    after: int
    shade: int | None
    state: HeatState
    href: str | None


@dataclass(frozen=True, kw_only=True)
class HeatMap(OverTime):
    """Rows of cells over time, in five intensities; what drifted is underlined.

    Parameters
    ----------
    rows : sequence of HeatRow
        From the top down.
    measure : str
        What the values are.
    """

    rows: Sequence[HeatRow]
    measure: str = "distance"

    def __post_init__(self) -> None:
        super().__post_init__()
        for row in self.rows:
            require_length(f"cells of {row.label!r}", row.cells, self)

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        left = gutter_for([row.label for row in self.rows]) if self.times else 0
        heading, taken = header("", [*_key(), *self.mark_key()], left)
        top = taken + self.strip() + (6.0 if self.spans else 0.0)
        bottom = top + _ROW * max(len(self.rows), 2)
        lines, shapes = self.draw_marks(top, bottom)
        drawing = [heading, self.draw_spans(top - 5.0, top - 2.0, labelled=False)]
        links: list[Markup] = [shapes]
        if self.times and self.rows:
            cells, linked = self._cells()
            (links if linked else drawing).append(stretched(top, bottom, cells))
            links.append(self._labels(top))
        else:
            drawing.append(empty((top + bottom) / 2))
        drawing += [lines, time_axis(self.ticks(), bottom, left)]
        return canvas(title=self.title, gist=self.gist(), height=bottom + AXIS, left=left,
                      drawing=drawing, links=links)  # fmt: skip

    def table(self) -> Table:
        """Return the figures: a row for each cell.

        Returns
        -------
        Table
        """
        notes = ["; ".join(self.near(index, index + 1)) for index in range(len(self.times))]
        rows: list[tuple[Entry, ...]] = []
        for row in self.rows:
            for index, cell in enumerate(row.cells):
                value = (
                    as_tabled(cell.value, self.unit) if cell and cell.value is not None else None
                )
                state = cell.state if cell else "unknown"
                rows.append((row.label, *self.bucket(index), value, state, notes[index]))
        rows += [("", start, end, None, "", note) for start, end, note in self.outside()]
        return Table(columns=("row", "from", "to", self.measure, "state", "notes"), rows=rows)

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        if not self.times or not self.rows:
            return "no data"
        drifted = [
            (sum(cell is not None and cell.state == "drifted" for cell in row.cells), row)
            for row in self.rows
        ]
        worst = sorted((pair for pair in drifted if pair[0]), key=lambda pair: -pair[0])
        sentences = [
            self.period(0, len(self.times)),
            f"{len(worst)} of {len(self.rows)} rows drifted",
        ]
        sentences += [
            f"{isolated(row.label)} in {count} of {len(self.times)}" for count, row in worst[:5]
        ]
        return "; ".join([*sentences, *self.told_over()])

    def _labels(self, top: float) -> Markup:
        parts = []
        for index, row in enumerate(self.rows):
            shown = cut(row.label, GUTTER - 12.0) or "(no name)"
            whole = [tag("title", row.label)] if shown != row.label and row.label else []
            y = top + _ROW * index + 13.0
            label = tag("text", *whole, shown, x=-8.0, y=y, class_="c-end c-row")
            parts.append(link(row.href, label))
        return joined(parts)

    def _runs(self, row: HeatRow) -> Iterator[_CellRun]:
        first = 0
        for look, cells in groupby(row.cells, key=_look):
            after = first + sum(1 for _ in cells)
            yield _CellRun(first, after, *look)
            first = after

    def _cells(self) -> tuple[Markup, bool]:
        """Return the cells, and whether one of them is a link."""
        runs = [(index, run) for index, row in enumerate(self.rows) for run in self._runs(row)]
        few = len(runs) <= _TITLES
        parts, drifted, unknown = [], [], []
        at = [number(WIDE * edge) for edge in self.edges]
        for index, run in runs:
            y = _ROW * index
            stroke = f"M{at[run.first]} {y + 7.5:g}H{at[run.after]}"
            labelled = few or run.state == "drifted"
            title = [tag("title", self._texts(self.rows[index], run))] if labelled else []
            shade = "hu" if run.shade is None else f"h{run.shade}"
            cell = tag("path", *title, class_=shade, d=stroke)
            parts.append(link(run.href, cell, tabindex="-1"))
            if run.state == "drifted":
                drifted.append(f"M{at[run.first]} {y + 16.5:g}H{at[run.after]}")
            elif run.state == "unknown":
                unknown.append(stroke)
        if drifted:
            parts.append(tag("path", class_="hd", d="".join(drifted)))
        if unknown:
            parts.append(tag("path", class_="hq", d="".join(unknown)))
        return joined(parts), any(run.href is not None for _, run in runs)

    def _texts(self, row: HeatRow, run: _CellRun) -> str:
        values = [
            cell.value
            for cell in row.cells[run.first : run.after]
            if cell is not None and cell.value is not None and math.isfinite(cell.value)
        ]
        lines = [isolated(row.label), self.period(run.first, run.after)]
        if values:
            low, high = exact(min(values), self.unit), exact(max(values), self.unit)
            lines.append(
                f"{self.measure} {low}" if low == high else f"{self.measure} {low} to {high}"
            )
        return "\n".join([*lines, _SAID[run.state]])


def _look(cell: HeatCell | None) -> tuple[int | None, HeatState, str | None]:
    return (None, "unknown", None) if cell is None else (cell.shade(), cell.state, cell.href)


def _key() -> list[Header]:
    box = {"y": -5.0, "height": 10.0, "width": 4.0}
    shades = joined(
        tag("rect", x=-10.0 + 4.0 * shade, class_=f"k{shade}", **box) for shade in range(_CLASSES)
    )
    return [
        (shades, "0 to 1"),
        (tag("path", d="M-9 0H9", class_="hd"), "drifted"),
        (tag("path", d="M-9 0H9", class_="hq"), "unknown"),
    ]
