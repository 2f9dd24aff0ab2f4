"""How far something has come: as a share, or step by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from watchkeeper.charts.canvas import canvas, empty
from watchkeeper.charts.forest import Tone
from watchkeeper.charts.markup import percent, tag
from watchkeeper.charts.numbers import as_tabled, exact
from watchkeeper.charts.table import Table
from watchkeeper.charts.text_width import cut, isolated, width_of
from watchkeeper.errors import InvalidValueError

__all__ = ["ProgressBar", "Step", "StepState", "Stepper"]

StepState = Literal["done", "current", "next", "failed"]

_SIGNS: dict[str, str | None] = {
    "done": "M-3.5 0L-1 2.8L3.8-2.8",
    "current": None,
    "next": None,
    "failed": "M-3-3L3 3M3-3L-3 3",
}
_PHONE, _DESK = 330.0, 640.0  # pixels across that steps share


@dataclass(frozen=True, kw_only=True)
class ProgressBar:
    """A bar from nothing to all.

    Parameters
    ----------
    title : str
        What the chart shows.
    label : str
        Written above the bar.
    share : float or None
        Between 0 and 1, None if it is not known; the bar ends there, the figure does not.
    tone : str
        Whether that is good or bad.
    """

    title: str
    label: str
    share: float | None
    tone: Tone = ""

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        share = math.nan if self.share is None else self.share
        figure = exact(share, "%")
        tone = f" c-tone-{self.tone}" if self.tone else ""
        bar = {"x": 0.0, "y": 22.0, "height": 8.0, "rx": 4.0}
        drawing = [
            tag("text", cut(self.label, _PHONE - width_of(figure) - 16.0), x=0.0, y=14.0),
            tag("text", figure, x="100%", y=14.0, class_="c-end c-figures"),
            tag("rect", width="100%", class_="c-track", **bar),
        ]
        if share > 0:
            width = percent(share)
            drawing.append(tag("rect", width=width, class_=f"c-filled{tone}", **bar))
        return canvas(title=self.title, gist=self.gist(), height=34.0, drawing=drawing,
                      right="pr-0")  # fmt: skip

    def table(self) -> Table:
        """Return the figure.

        Returns
        -------
        Table
        """
        share = None if self.share is None else as_tabled(self.share, "%")
        return Table(columns=("what", "share (%)"), rows=[(self.label, share)])

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        figure = exact(math.nan if self.share is None else self.share, "%")
        return f"{isolated(self.label)} {figure}".strip()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is, whether it is done, and a few words below it.

    Raises
    ------
    InvalidValueError
        If there is no such state.
    """

    label: str
    state: StepState = "next"
    note: str = ""

    def __post_init__(self) -> None:
        if self.state not in _SIGNS:
            raise InvalidValueError("state", self.state, "one of " + ", ".join(_SIGNS))


@dataclass(frozen=True, kw_only=True)
class Stepper:
    """Steps from left to right, as of a rollout.

    Parameters
    ----------
    title : str
        What the chart shows.
    steps : sequence of Step
        In their order.
    """

    title: str
    steps: Sequence[Step]

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        drawing = self._lines()
        for index, step in enumerate(self.steps):
            drawing += self._step(index, step)
        if not self.steps:
            drawing.append(empty(24.0))
        height = 58.0 if any(step.note for step in self.steps) else 44.0
        return canvas(title=self.title, gist=self.gist(), height=height, drawing=drawing,
                      right="pr-0")  # fmt: skip

    def table(self) -> Table:
        """Return the steps, a row each.

        Returns
        -------
        Table
        """
        rows = [(index + 1, *_of(step)) for index, step in enumerate(self.steps)]
        return Table(columns=("step", "what", "state", "note"), rows=list(rows))

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        if not self.steps:
            return "no data"
        sentences = [
            f"{isolated(step.label)} {step.state}"
            + (f" ({isolated(step.note)})" if step.note else "")
            for step in self.steps
        ]
        return "; ".join(sentences)

    def _middle(self, index: int) -> float:
        return (index + 0.5) / len(self.steps)

    def _lines(self) -> list[Markup]:
        """Return the lines between the steps, firm as far as the rollout has come."""
        parts = []
        for index, step in enumerate(self.steps[:-1]):
            x1, x2 = percent(self._middle(index)), percent(self._middle(index + 1))
            kind = "c-way c-way-done" if step.state == "done" else "c-way c-way-next"
            parts.append(tag("line", x1=x1, x2=x2, y1=12.0, y2=12.0, class_=kind))
        return parts

    def _step(self, index: int, step: Step) -> list[Markup]:
        x = percent(self._middle(index))
        sign = _SIGNS[step.state]
        inside = [tag("circle", r=9.0, class_=f"c-step c-step-{step.state}")]
        if sign is not None:
            inside.append(tag("path", d=sign, class_="c-sign"))
        elif step.state == "current":
            inside.append(tag("circle", r=4.0, class_="c-now"))
        tooltip = " ".join(part for part in _of(step) if part)
        inside.append(tag("title", tooltip))
        parts = [tag("svg", *inside, x=x, y=12.0, class_="c-at")]
        bold = " c-major" if step.state == "current" else ""
        for text, y, size, kind in (
            (step.label, 38.0, 12.0, bold),
            (step.note, 53.0, 11.0, " c-key"),
        ):
            parts += self._text(text, x, y, size, kind)
        return parts

    def _text(self, text: str, x: str, y: float, size: float, kind: str) -> list[Markup]:
        """Return a text below a step, in two versions if a phone has no room for all of it."""
        count = len(self.steps)
        wide, narrow = (cut(text, room / count - 6.0, size) for room in (_DESK, _PHONE))
        if wide == narrow:
            return [tag("text", wide, x=x, y=y, class_=f"c-mid{kind}")] if wide else []
        return [
            tag("text", shown, x=x, y=y, class_=f"c-mid{kind} {where}")
            for shown, where in ((wide, "c-wide"), (narrow, "c-narrow"))
            if shown != "…"
        ]


def _of(step: Step) -> tuple[str, str, str]:
    return step.label, step.state, step.note
