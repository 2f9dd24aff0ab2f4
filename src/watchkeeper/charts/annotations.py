"""What is drawn over time beside the values: limits, degradations, changes by operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from watchkeeper.charts.markup import joined, link, tag
from watchkeeper.errors import InvalidValueError

__all__ = ["Mark", "MarkKind", "Reference", "Span", "SpanKind", "lanes", "mark_icon"]

SpanKind = Literal["bad", "unknown", "info"]
MarkKind = Literal["promotion", "retraining", "incident", "rollout", "experiment", "rollback"]

_SHAPES: dict[str, str] = {  # around 0, 0 and distinguished by their outline alone
    "promotion": "M0-5.5L5.5 4H-5.5z",
    "rollback": "M0 5.5L5.5-4H-5.5z",
    "rollout": "M-4-5.5L5.5 0L-4 5.5z",
    "incident": "M0-6L6 0L0 6L-6 0z",
    "experiment": "M-1.8-5.4h3.6v3.6h3.6v3.6h-3.6v3.6h-3.6v-3.6h-3.6v-3.6h3.6z",
    "retraining": "M-5 0a5 5 0 1 1 10 0a5 5 0 1 1-10 0zM-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z",
}
_REACH = 11.0  # a finger needs more than the ten pixels of a shape


@dataclass(frozen=True, slots=True)
class Reference:
    """A value to compare with: a baseline, a limit."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that was bad, of which nothing is known, or that is worth noting.

    Raises
    ------
    InvalidValueError
        If a time has no zone.
    """

    start: datetime
    end: datetime
    label: str
    kind: SpanKind = "bad"

    def __post_init__(self) -> None:
        _require_zone("start", self.start)
        _require_zone("end", self.end)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was done or that happened, with the page that tells more.

    Raises
    ------
    InvalidValueError
        If the time has no zone, or there is no such kind.
    """

    at: datetime
    label: str
    kind: MarkKind
    href: str | None = None

    def __post_init__(self) -> None:
        _require_zone("at", self.at)
        if self.kind not in _SHAPES:
            raise InvalidValueError("kind", self.kind, "one of " + ", ".join(_SHAPES))

    @property
    def words(self) -> str:
        """What it is, unless its label says so already."""
        return self.label if self.kind in self.label else f"{self.kind} {self.label}".strip()


def shape(kind: str) -> Markup:
    """Return the shape of a kind of mark, around 0, 0.

    Parameters
    ----------
    kind : str

    Returns
    -------
    Markup
    """
    return tag("path", d=_SHAPES[kind], class_=f"c-mark c-mark-{kind}")


def mark_icon(kind: MarkKind) -> Markup:
    """Return the shape of a kind of mark, to stand in a line of text.

    Parameters
    ----------
    kind : MarkKind

    Returns
    -------
    Markup
    """
    return tag("svg", shape(kind), class_="mark-icon", viewBox="-7 -7 14 14", width=14.0,
               height=14.0, aria_hidden="true")  # fmt: skip


def marked(mark: Mark, x: str, y: float, text: str) -> Markup:
    """Return a mark on a chart, a link if it leads somewhere.

    Parameters
    ----------
    mark : Mark
    x : str
        In per cent of the width.
    y : float
        In pixels from the top.
    text : str
        What the tooltip says.

    Returns
    -------
    Markup
    """
    drawn = (
        tag("circle", r=_REACH, class_="hit"),
        shape(mark.kind),
        tag("title", text),
    )
    inner = joined(drawn)
    linked = link(mark.href, inner, aria_label=text)
    return tag("svg", linked, x=x, y=y, class_="c-at")


def lanes(places: Sequence[float], apart: float) -> list[int]:
    """Return for each place, in order, in which of two lanes it stands clear of the last one.

    Parameters
    ----------
    places : sequence of float
        Shares of the width, ascending.
    apart : float
        Share of the width below which two would touch.

    Returns
    -------
    list of int
        0 for the lower lane and 1 for the upper.
    """
    last = [-1.0, -1.0]
    lines = []
    for slot in places:
        free = [at for at in (0, 1) if slot - last[at] >= apart]
        lane = free[0] if free else min((0, 1), key=last.__getitem__)
        last[lane] = slot
        lines.append(lane)
    return lines


def _require_zone(field: str, at: datetime) -> None:
    if at.tzinfo is None:
        raise InvalidValueError(field, at, "a time with a zone")
