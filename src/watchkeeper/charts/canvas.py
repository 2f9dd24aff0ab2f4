"""The sheet a chart is drawn on: as wide as its container, its text as large as elsewhere.

Charts that scale as a whole have unreadable text on a phone. So across, things stand at
percentages, and down, at pixels; only paths lie in a stretched sheet of their own (`stretched`),
with strokes that keep their width. Labels beside the plot stand in the padding of the ``<svg>``,
which a class gives it, and hence at negative places.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from watchkeeper.charts.markup import joined, percent, tag
from watchkeeper.charts.numbers import has_symbol, on_axis
from watchkeeper.charts.scale import Scale
from watchkeeper.charts.text_width import cut, width_of
from watchkeeper.charts.ticks import Tick

__all__ = [
    "AXIS",
    "GUTTER",
    "PHONE",
    "WIDE",
    "Header",
    "canvas",
    "empty",
    "gutter_for",
    "header",
    "stretched",
    "time_axis",
    "value_axis",
]

WIDE = 1000.0  # units across a stretched sheet
ROW, AXIS = 20.0, 24.0  # pixels of a row of the key, and below the plot
GUTTER = 160  # pixels that labels beside a plot may take; the stylesheet knows up to 200
PHONE = 328.0  # pixels across a chart on a phone
_TICK = 58.0  # pixels that a label below the plot needs

Header = tuple[Markup, str]  # a sample around 0, 0 and what it means


def canvas(
    *,
    title: str,
    gist: str,
    height: float,
    drawing: Sequence[str],
    links: Sequence[str] = (),
    left: int = 0,
    right: str = "pr-8",
) -> Markup:
    """Return the whole chart.

    What assistive technology finds is one picture with a name that tells the gist. With links
    inside it is a group instead, of which the links are all that is found: a picture may not
    hold anything to click on.

    Parameters
    ----------
    title : str
    gist : str
        What one sees at a glance, in words.
    height : float
        In pixels.
    drawing : sequence of str
        Elements without links.
    links : sequence of str
        Elements that may hold links.
    left : int
        Pixels that labels beside the plot take.
    right : str
        Class of the room to the right of the plot.

    Returns
    -------
    Markup
    """
    name = ": ".join(part for part in (title.strip(), gist.strip()) if part) or "chart"
    common: dict[str, str | float] = {"width": "100%", "height": height, "aria_label": name}
    classes = f"chart pl-{min(200, math.ceil(left / 8) * 8)} {right}"
    if any("<a " in part for part in links):
        hidden = tag("g", *drawing, aria_hidden="true")
        return tag("svg", hidden, *links, class_=classes, role="group", **common)
    return tag("svg", *drawing, *links, class_=classes, role="img", **common)


def stretched(top: float, bottom: float, *paths: str) -> Markup:
    """Return a sheet for paths, `WIDE` units across, between two heights in pixels.

    Parameters
    ----------
    top, bottom : float
    *paths : str
        Elements, in the coordinates of the sheet.

    Returns
    -------
    Markup
    """
    height = bottom - top
    return tag("svg", *paths, x=0.0, y=top, width="100%", height=height, class_="c-sheet",
               viewBox=f"0 0 {WIDE:g} {height:g}", preserveAspectRatio="none")  # fmt: skip


def gutter_for(labels: Sequence[str], most: int = GUTTER) -> int:
    """Return the pixels beside the plot that these labels need.

    Parameters
    ----------
    labels : sequence of str
    most : int
        Pixels that are never exceeded.

    Returns
    -------
    int
    """
    widest = max((width_of(label[:200]) for label in labels), default=0.0)
    return min(most, math.ceil((widest + 12.0) / 8.0) * 8)


def value_axis(scale: Scale, unit: str) -> tuple[Markup, int]:
    """Return grid and labels of the values, and the pixels the labels need.

    Parameters
    ----------
    scale : Scale
    unit : str

    Returns
    -------
    tuple of Markup and int
    """
    labels = [on_axis(value, value if scale.log else scale.step, unit) for value in scale.ticks]
    parts = []
    for value, label in zip(scale.ticks, labels, strict=True):
        y = scale.at(value)
        class_ = "c-zero" if value == 0 and scale.low < 0 else "c-grid"
        parts.append(tag("line", x1=0.0, x2="100%", y1=y, y2=y, class_=class_))
        parts.append(tag("text", label, x=-8.0, y=y + 4.0, class_="c-end"))
    return joined(parts), gutter_for(labels)


def time_axis(ticks: Sequence[tuple[float, Tick]], bottom: float, left: float = 0.0) -> Markup:
    """Return the time axis below a plot; on a phone only as many labels as it has room for.

    Parameters
    ----------
    ticks : sequence of (float, Tick)
        Share of the width and the tick.
    bottom : float
        Where the plot ends.
    left : float
        Pixels that labels beside the plot take.

    Returns
    -------
    Markup
    """
    every = math.ceil(len(ticks) * _TICK / (PHONE - left)) or 1
    parts = [tag("line", x1=0.0, x2="100%", y1=bottom, y2=bottom, class_="c-axis")]
    first_major = next((index for index, (_, tick) in enumerate(ticks) if tick.major), 0)
    for index, (share, tick) in enumerate(ticks):
        x = percent(share)
        labelled = (index - first_major) % every == 0
        classes = ["c-start" if share < 0.02 else "c-end" if share > 0.97 else "c-mid"]
        classes += ["c-major"] * tick.major + ["c-wide"] * (not labelled)
        parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4.0, class_="c-axis"))
        parts.append(tag("text", tick.label, x=x, y=bottom + 17.0, class_=" ".join(classes)))
    return joined(parts)


def header(unit: str, entries: Sequence[Header], left: float = 0.0) -> tuple[Markup, float]:
    """Return the key above a plot, and how many pixels it takes.

    A unit that is a word stands here once instead of at every tick. The key starts where the
    labels beside the plot do, `left` pixels from it.

    Parameters
    ----------
    unit : str
        Of the values.
    entries : sequence of Header
        Samples with their labels.
    left : float
        Pixels that labels beside the plot take.

    Returns
    -------
    tuple of Markup and float
    """
    items = list(entries)
    if unit and not has_symbol(unit):
        items.insert(0, (Markup(""), unit))
    parts, x, row = [], -left, 0
    for sample, label in items:
        shown = cut(label, PHONE - 40.0) or "(no name)"
        room = (24.0 if sample else 0.0) + width_of(shown) + 14.0
        if x > -left and x + left + room - 14.0 > PHONE:
            x, row = -left, row + 1
        y = 10.0 + row * ROW
        if sample:
            parts.append(tag("svg", sample, x=x + 9.0, y=y, class_="c-at"))
        text = x + 24.0 if sample else x
        parts.append(tag("text", shown, x=text, y=y + 4.0, class_="c-key"))
        x += room
    return joined(parts), (row + 1) * ROW + 12.0 if items else 8.0


def empty(height: float, text: str = "no data") -> Markup:
    """Return what stands in a plot that has nothing to show.

    Parameters
    ----------
    height : float
        Of the text, in pixels from the top.
    text : str

    Returns
    -------
    Markup
    """
    return tag("text", text, x="50%", y=height, class_="c-mid c-none")
