"""One feature: how far it has moved over time, and its values beside what the model learned."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from watchkeeper.app import App
from watchkeeper.control.drift_looks import FeatureLook, Side
from watchkeeper.dashboard.charts import HistogramPair, LineChart, Reference, Series
from watchkeeper.dashboard.charts import Span as Stretch
from watchkeeper.dashboard.page import Ask, Drawn, Page
from watchkeeper.dashboard.pages.drift_checks import (
    address,
    asked_check,
    evidence_of,
    listed,
    marks_of,
    strongest,
)
from watchkeeper.dashboard.rendering import number, percent
from watchkeeper.dashboard.spans import Span
from watchkeeper.drift.checks import DRIFTED, Buckets, Checks
from watchkeeper.errors import NotFoundError, WatchkeeperError
from watchkeeper.findings import Finding

__all__ = ["feature"]

_CHECKS = 20  # in the list of checks
_OTHERS = 12  # features of the same check that are named
_SEGMENTS = 25
_LONG = 40  # characters of a name that the title shows


def feature(app: App, ask: Ask) -> Page:
    """Return one feature: its distance over time, and both histograms of one check."""
    model = ask.names["model"]
    name = ask.query.get("feature") or ask.names["feature"]
    known = app.drift_history.checks(model).of_feature(name)
    if not len(known):
        raise NotFoundError(
            f"drift check of {model} with the feature", name, f"See /models/{model}/drift."
        )
    span = ask.span()
    within = known.within(span.start, span.end)
    chosen = asked_check(app, ask, model) or app.findings.get(_newest(within, known))
    drift = chosen.evidence.get("features", {}).get(name)
    charts: dict[str, Drawn] = {}
    if len(within):
        charts["effect"] = _over_time(app, ask, model, span, within, chosen)
    look, told, hint = None, "", ""
    if drift is None:
        told = f"the check {chosen.number} did not look at {name}"
        hint = "Choose another below."
    else:
        try:
            look = app.drift_looks.look(chosen, name)
        except WatchkeeperError as error:
            told, hint = error.message, error.hint
    if look is not None and look.distribution is not None:
        charts["histogram"] = _histogram(name, look)
    query = {**dict(parse_qsl(span.query)), "finding": str(chosen.number)}
    return Page(
        template="drift_feature.html",
        title=f"{name if len(name) <= _LONG else name[:_LONG] + '…'} of {model}",
        section="Overview",
        model=model,
        span=span,
        charts=charts,
        context={
            "model": model,
            "feature": name,
            "kept": dict(parse_qsl(span.query)),
            "named": {"feature": name} if "feature" in ask.query else {},
            "new": [] if look is None else [each.label for each in look.shares if not each.before],
            "finding": chosen,
            "whole": chosen.evidence,
            "drift": drift,
            "look": look,
            "told": told,
            "hint": hint,
            "figures": [] if look is None else _figures(look),
            "moved": None if look is None else _deviations(look),
            "evidence": evidence_of(chosen),
            "others": [
                (other, address(model, other, **query))
                for other, each in strongest(chosen)
                if each.get("drift_detected") and other != name
            ][:_OTHERS],
            "checks": listed(within, _CHECKS),
            "within": len(within),
            "drifted_within": int(within.bad.sum()),
            "here_query": query,
            "segments": _segments(app, ask, chosen, name) if drift is not None else None,
            "most_segments": _SEGMENTS,
        },
    )


def _newest(within: Checks, known: Checks) -> int:
    """Return the newest check in which the feature drifted, else the newest that looked at it."""
    checks = within if len(within) else known
    drifted = np.flatnonzero(checks.states[:, 0] == DRIFTED)
    return int(checks.numbers[drifted[-1] if len(drifted) else -1])


def _over_time(
    app: App, ask: Ask, model: str, span: Span, checks: Checks, chosen: Finding
) -> LineChart:
    buckets = checks.over(span.start, span.end)
    least = chosen.evidence.get("min_effect")
    return LineChart(
        title="Distance from the training data",
        zone=ask.viewer.zone,
        times=buckets.starts,
        end=buckets.end,
        series=[
            Series(
                "distance",
                [None if math.isnan(each) else each for each in buckets.effects[:, 0].tolist()],
            )
        ],
        references=[] if least is None else [Reference("smallest that counts as drift", least)],
        spans=_stretches(buckets),
        marks=marks_of(app, model, span),
        zero=True,
    )


def _stretches(buckets: Buckets) -> list[Stretch]:
    """Return when the feature had drifted, neighbours together."""
    edges = [*buckets.starts, buckets.end]
    found: list[tuple[datetime, datetime]] = []
    for place in np.flatnonzero(buckets.states[:, 0] == DRIFTED).tolist():
        start, end = edges[place], edges[place + 1]
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return [Stretch(start, end, "drifted") for start, end in found]


def _histogram(name: str, look: FeatureLook) -> HistogramPair:
    drawn = look.distribution
    assert drawn is not None
    labels: Sequence[str] | None = drawn.labels
    if labels is None and look.kind == "time" and drawn.edges is not None:
        labels = [f"from {_moment(edge)}" for edge in drawn.edges[:-1]]
    return HistogramPair(
        title=f"Values of {name}",
        reference=drawn.reference,
        current=drawn.current,
        edges=drawn.edges if labels is None else None,
        labels=labels,
        reference_label=f"training data of {look.model_id}",
        current_label="window of the check",
    )


def _deviations(look: FeatureLook) -> float | None:
    """Return by how many standard deviations of the reference the mean has moved."""
    before, now = look.before, look.now
    if before.mean is None or now.mean is None or not before.deviation:
        return None
    return (now.mean - before.mean) / before.deviation


def _figures(look: FeatureLook) -> list[tuple[str, str, str]]:
    """Return the figures of both sides, as words: a time is told as one."""
    before, now = look.before, look.now
    shown = _moment if look.kind == "time" else number
    rows = [
        ("values", number(before.size), number(now.size)),
        ("missing", percent(before.missing), percent(now.missing)),
    ]
    if before.mean is not None:
        rows += [
            ("mean", shown(before.mean), _or_none(shown, now.mean)),
            ("standard deviation", _width(look, before), _width(look, now)),
        ]
    for name, value in before.quantiles.items():
        label = "median" if name == "50%" else name.replace("%", " % lie below")
        rows.append((label, shown(value), _or_none(shown, now.quantiles.get(name))))
    return rows


def _width(look: FeatureLook, side: Side) -> str:
    if side.deviation is None:
        return "-"
    return f"{number(side.deviation / 86_400)} d" if look.kind == "time" else number(side.deviation)


def _or_none(shown: Any, value: float | None) -> str:
    return "-" if value is None else str(shown(value))


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # infinite, or outside the calendar
        return f"{seconds:g}"


def _segments(app: App, ask: Ask, chosen: Finding, name: str) -> dict[str, Any] | None:
    """Return where the drift is strongest, if that is asked for: it reads more than the rest."""
    if "segments" not in ask.query:
        return None
    try:
        found = app.drift_looks.segments(
            chosen, name, threshold=float(chosen.evidence.get("threshold", 0.05))
        )
    except WatchkeeperError as error:
        return {"error": error.message, "hint": error.hint}
    return {"found": found, "error": "", "rows": found.segments[:_SEGMENTS]}
