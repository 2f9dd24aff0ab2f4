"""Two distributions over the same bins: what a model learned on, and what it is given now.

>>> chart = HistogramPair(
...     title="Carrier", labels=["AA", "UA"], reference=[50, 50], current=[60, 20]
... )
>>> print(chart.gist())
2 bins; reference most often AA (50 %), current most often AA (75 %);
furthest apart at AA: 50 % to 75 %
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from markupsafe import Markup

from watchkeeper.charts.canvas import (
    AXIS,
    GUTTER,
    Header,
    canvas,
    empty,
    gutter_for,
    header,
    value_axis,
)
from watchkeeper.charts.markup import joined, number, percent, tag
from watchkeeper.charts.numbers import as_tabled, exact, on_axis
from watchkeeper.charts.scale import Scale, fitted, floats
from watchkeeper.charts.table import Table
from watchkeeper.charts.text_width import cut, isolated
from watchkeeper.errors import InvalidValueError

__all__ = ["HistogramPair"]

_CATEGORY = 30.0  # pixels of a category
_MOST = 60  # categories or bins that are drawn; the table has all


@dataclass(frozen=True, kw_only=True)
class HistogramPair:
    """Shares of two samples, bin by bin or category by category.

    All bins are drawn equally wide. Where they are not, bars over their true width would be read
    by their area, and a share is a height; the edges are written below.

    Parameters
    ----------
    title : str
        What the chart shows.
    unit : str
        Of the edges.
    reference, current : sequence of float
        Counts or shares; each side is divided by its sum.
    edges : sequence of float, optional
        Of the bins, one more than there are; the outer ones may be infinite.
    labels : sequence of str, optional
        Of the categories, instead of edges.
    reference_label, current_label : str
        What the two are.
    height : int
        Pixels; categories take what they need.

    Raises
    ------
    InvalidValueError
        If the samples, the edges and the labels are not of the same number of bins, or there are
        not either edges or labels.
    """

    title: str
    unit: str = ""
    reference: Sequence[float]
    current: Sequence[float]
    edges: Sequence[float] | None = None
    labels: Sequence[str] | None = None
    reference_label: str = "reference"
    current_label: str = "current"
    height: int = 220

    def __post_init__(self) -> None:
        bins = len(self.reference)
        if len(self.current) != bins:
            raise InvalidValueError("current", len(self.current), f"{bins} bins as in reference")
        if (self.edges is None) == (self.labels is None):
            raise InvalidValueError("edges", self.edges, "either edges or labels")
        if self.edges is not None and len(self.edges) != bins + 1 and (bins or len(self.edges)):
            raise InvalidValueError("edges", len(self.edges), f"{bins + 1} of them")
        if self.labels is not None and len(self.labels) != bins:
            raise InvalidValueError("labels", len(self.labels), f"{bins} of them")

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        box = {"x": -5.0, "y": -6.0, "width": 10.0, "height": 12.0}
        slim = {"x": -2.5, "y": -6.0, "width": 5.0, "height": 12.0}
        entries: list[Header] = [
            (tag("rect", class_="c-bar-reference", **box), self.reference_label),
            (tag("rect", class_="c-bar", **slim), self.current_label),
        ]
        top = header("", entries)[1]
        if not any(self._reference + self._current):
            body, bottom, left = empty(top + 40.0), top + 80.0, 0
        elif self.labels is None:
            body, bottom, left = self._upright(top, top + max(self.height, 80.0))
        else:
            body, bottom, left = self._lying(top)
        return canvas(title=self.title, gist=self.gist(), height=bottom, left=left,
                      drawing=[header("", entries, left)[0], body], right="pr-16")  # fmt: skip

    def table(self) -> Table:
        """Return the figures: a row for each bin or category.

        Returns
        -------
        Table
        """
        shares = zip(self._reference, self._current, strict=True)
        tabled = [(as_tabled(a, "%"), as_tabled(b, "%")) for a, b in shares]
        sides = (f"{self.reference_label} (%)", f"{self.current_label} (%)")
        if self.edges is None:
            names = self.labels or ()
            rows = [(name, *pair) for name, pair in zip(names, tabled, strict=True)]
            return Table(columns=("category", *sides), rows=list(rows))
        ends = [as_tabled(edge, self.unit) for edge in self.edges]
        bins = [(ends[i], ends[i + 1], *pair) for i, pair in enumerate(tabled)]
        unit = f" ({self.unit})" if self.unit else ""
        return Table(columns=(f"from{unit}", f"to{unit}", *sides), rows=list(bins))

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        reference, current = self._reference, self._current
        if not any(reference + current):
            return "no data"
        count = len(reference)
        sentences = [f"{count} {'bin' if count == 1 else 'bins'}"]
        most = []
        for label, shares in ((self.reference_label, reference), (self.current_label, current)):
            if any(shares):
                top = max(range(count), key=lambda index: shares[index])
                name, share = self._name(top), exact(shares[top], "%")
                most.append(f"{isolated(label)} most often {name} ({share})")
            else:
                most.append(f"{isolated(label)} no data")
        sentences.append(", ".join(most))
        apart = max(range(count), key=lambda index: abs(reference[index] - current[index]))
        before, after = exact(reference[apart], "%"), exact(current[apart], "%")
        if any(reference) and any(current) and before != after:
            sentences.append(f"furthest apart at {self._name(apart)}: {before} to {after}")
        return "; ".join(sentences)

    @cached_property
    def _reference(self) -> list[float]:
        return _shares(self.reference)

    @cached_property
    def _current(self) -> list[float]:
        return _shares(self.current)

    def _name(self, index: int) -> str:
        if self.labels is not None:
            return isolated(self.labels[index] or "(empty)")
        edges = self.edges or ()
        low, high = edges[index], edges[index + 1]
        if math.isinf(low):
            return f"up to {exact(high, self.unit)}"
        if math.isinf(high):
            return f"from {exact(low, self.unit)}"
        return f"{exact(low, '' if self.unit != '%' else '%')} to {exact(high, self.unit)}"

    def _texts(self, index: int) -> str:
        before, after = exact(self._reference[index], "%"), exact(self._current[index], "%")
        return "\n".join([
            self._name(index),
            f"{isolated(self.reference_label)} {before}",
            f"{isolated(self.current_label)} {after}",
        ])  # fmt: skip

    def _scale(self, top: float, bottom: float, count: int | None = None) -> Scale:
        shares = self._reference + self._current
        return fitted(shares, top=top, bottom=bottom, unit="%", zero=True, count=count)

    def _upright(self, top: float, height: float) -> tuple[Markup, float, int]:
        bottom = height - AXIS - (0.0 if not self._wordy() else 14.0)
        scale = self._scale(top, bottom)
        axis, gutter = value_axis(scale, "%")
        shown = min(len(self.reference), _MOST * 2)
        parts = [axis]
        for index in range(shown):
            slot = 1.0 / shown
            before, after = scale.at(self._reference[index]), scale.at(self._current[index])
            wide = {"x": percent((index + 0.06) * slot), "width": percent(0.88 * slot)}
            slim = {"x": percent((index + 0.3) * slot), "width": percent(0.4 * slot)}
            parts.append(tag("rect", y=before, height=bottom - before, class_="c-bar-reference",
                             **wide))  # fmt: skip
            parts.append(tag("rect", y=after, height=bottom - after, class_="c-bar", **slim))
        parts += [self._edge_labels(shown, bottom)]
        parts += [
            tag("rect", tag("title", tooltip), class_="hit", x=percent(index / shown), y=top,
                width=percent(1 / shown), height=bottom - top,
                data_x=number(100 * (index + 0.5) / shown), data_text=tooltip)
            for index in range(shown)
            for tooltip in (self._texts(index),)
        ]  # fmt: skip
        return joined(parts), height, gutter

    def _wordy(self) -> bool:
        return bool(self.unit) and len(self.unit) > 3

    def _edge_labels(self, shown: int, bottom: float) -> Markup:
        """Return the edges below the bins: on a phone, half as many."""
        edges = list(self.edges or ())[: shown + 1]
        parts = [tag("line", x1=0.0, x2="100%", y1=bottom, y2=bottom, class_="c-axis")]
        every = max(1, math.ceil(shown / 8))
        finite = [edge for edge in edges if math.isfinite(edge)]
        apart = min((b - a for a, b in pairwise(finite) if b - a > 1e-290), default=0.0)
        # A tenth of the narrowest bin: the edges need not be round.
        step = 10.0 ** (math.floor(math.log10(min(apart, 1e300))) - 1) if apart > 0 else 0.0
        for order, index in enumerate(range(0, shown + 1, every)):
            edge, x = edges[index], percent(index / shown)
            if math.isfinite(edge):
                label = on_axis(edge, step or 0.01 * abs(edge), self.unit)
            else:
                label = exact(edge, "")
            where = "c-start" if index == 0 and math.isfinite(edge) else "c-mid"
            wide = " c-wide" if order % 2 and shown / every > 4 else ""
            parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4.0, class_="c-axis"))
            parts.append(tag("text", label, x=x, y=bottom + 17.0, class_=where + wide))
        if self._wordy():
            parts.append(tag("text", self.unit, x="100%", y=bottom + 32.0, class_="c-end c-key"))
        return joined(parts)

    def _lying(self, top: float) -> tuple[Markup, float, int]:
        names = list(self.labels or ())[:_MOST]
        rest = len(self.reference) - len(names)
        scale = self._scale(0.0, 1.0, 4)
        bottom = top + _CATEGORY * len(names)
        parts = []
        labels = [on_axis(value, scale.step, "%") for value in scale.ticks]
        for index, (value, label) in enumerate(zip(scale.ticks, labels, strict=True)):
            x = percent(1.0 - scale.at(value))
            where = "c-start" if index == 0 else "c-end" if index == len(labels) - 1 else "c-mid"
            where += " c-wide" if index % 2 and len(labels) > 3 else ""
            parts.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="c-grid"))
            parts.append(tag("text", label, x=x, y=bottom + 17.0, class_=where))
        for index, name in enumerate(names):
            y, shown = top + _CATEGORY * index, cut(name, GUTTER - 12.0) or "(empty)"
            before, after = (
                1.0 - scale.at(self._reference[index]),
                1.0 - scale.at(self._current[index]),
            )
            tooltip = self._texts(index)
            parts += [
                tag("text", shown, x=-8.0, y=y + 19.0, class_="c-end"),
                tag("rect", x=0.0, y=y + 4.0, width=percent(before), height=_CATEGORY - 8.0,
                    class_="c-bar-reference"),
                tag("rect", x=0.0, y=y + 10.0, width=percent(after), height=_CATEGORY - 20.0,
                    class_="c-bar"),
                tag("rect", tag("title", tooltip), class_="hit", x=0.0, y=y, width="100%",
                    height=_CATEGORY, data_x=number(100 * max(before, after)), data_text=tooltip),
            ]  # fmt: skip
        parts.append(tag("line", x1=0.0, x2=0.0, y1=top, y2=bottom, class_="c-axis"))
        height = bottom + AXIS
        if rest:
            more = f"and {rest} more in the table"
            parts.append(tag("text", more, x=0.0, y=bottom + 35.0, class_="c-key"))
            height += 18.0
        return joined(parts), height, gutter_for([name or "(empty)" for name in names])


def _shares(counts: Sequence[float]) -> list[float]:
    """Return the counts as shares of their sum; what is no amount counts as zero."""
    amounts = [value if math.isfinite(value) and value > 0 else 0.0 for value in floats(counts)]
    most = max(amounts, default=0.0)
    if most == 0:
        return amounts
    parts = [value / most for value in amounts]
    total = sum(parts)
    return [part / total for part in parts]
