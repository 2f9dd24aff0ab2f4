"""Drift of one feature: drift score over time, reference and current values."""

import math
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from watchkeeper.app import App
from watchkeeper.charts import Chart, HistogramPair, LineChart, Reference, Series, Span
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.pages.drift_checks import (
    address,
    asked_check,
    evidence_of,
    listed,
    marks_of,
    strongest,
)
from watchkeeper.dashboard.rendering import number, percent
from watchkeeper.dashboard.time_range import TimeRange
from watchkeeper.drift.checks import DRIFTED, Buckets, Checks
from watchkeeper.errors import NotFoundError, WatchkeeperError
from watchkeeper.monitoring.feature_drift import FeatureLook
from watchkeeper.records import Finding

__all__ = ["feature"]

_CHECKS = 20  # in the list of checks
_OTHERS = 12  # features of the same check that are named
_SEGMENTS = 25
_LONG = 40  # characters of a name that the title shows


def feature(app: App, ask: Ask) -> Page:
    """Return the page of a feature: drift score over time, and both histograms of one check.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If no check of the model has the feature.
    InvalidValueError
        If the query asks for a range or a check that does not exist.
    """
    model = ask.names["model"]
    name = ask.query.get("feature") or ask.names["feature"]
    checks = app.drift_history.checks(model)
    every_check = checks.of_feature(name)
    if not len(every_check):
        raise _unknown(app, checks, model, name)
    span = ask.span()
    within = every_check.within(span.start, span.end)
    chosen = asked_check(app, ask, model) or app.findings.get(_newest(within, every_check))
    drift = chosen.evidence.get("features", {}).get(name)
    charts: dict[str, Chart] = {}
    if len(within):
        charts["effect"] = _over_time(app, ask, model, span, within, chosen)
    look, message, hint = None, "", ""
    if drift is None:
        message = f"the check {chosen.number} does not have {name}"
        hint = "Choose another below."
    else:
        try:
            look = app.drift_looks.look(chosen, name)
        except WatchkeeperError as error:
            message, hint = error.message, error.hint
    if look is not None and look.distribution is not None:
        charts["histogram"] = _histogram(name, look)
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
            "named": {"feature": name} if "feature" in ask.query else {},
            "finding": chosen,
            "whole": chosen.evidence,
            "drift": drift,
            "message": message,
            "hint": hint,
            "evidence": evidence_of(chosen),
            "checks": listed(within, _CHECKS),
            "within": len(within),
            "drifted_within": int(within.bad.sum()),
            "segments": None if look is None else _segments(app, ask, chosen, name),
            "most_segments": _SEGMENTS,
            **_of_look(look),
            **_links(model, name, span, chosen),
        },
    )


def _of_look(look: FeatureLook | None) -> dict[str, Any]:
    """Return what is shown of the distributions in the window of a check."""
    if look is None:
        return {"look": None, "figures": [], "moved": None, "spread": None, "new": []}
    return {
        "look": look,
        "figures": _figures(look),
        "moved": _deviations(look),
        "spread": _spread(look),
        "new": [share.label for share in look.shares if not share.before],
    }


def _links(model: str, name: str, span: TimeRange, chosen: Finding) -> dict[str, Any]:
    """Return the queries that lead to this check and range, and to other features of the check."""
    range_query = dict(parse_qsl(span.query))
    query = {**range_query, "finding": str(chosen.number)}
    others = [
        (other, address(model, other, **query))
        for other, result in strongest(chosen)
        if result.get("drift_detected") and other != name
    ]
    return {"kept": range_query, "here_query": query, "others": others[:_OTHERS]}


def _unknown(app: App, checks: Checks, model: str, name: str) -> NotFoundError:
    """Return why there is nothing to show of a feature."""
    latest = checks.latest
    message = f"The page of the drift of {model} lists those there are."
    if latest is None:
        message = f"No drift check of {model} is stored yet: `watchkeeper drift --model {model}`."
    elif name in app.findings.get(latest.number).evidence["schema_changes"]["new"]:
        message = (
            "It is recorded, and no training data has it: it is compared once a version is "
            "in production that was registered with training data that do."
        )
    return NotFoundError(f"drift check of {model} that compared", name, message)


def _newest(within: Checks, every_check: Checks) -> int:
    """Return the newest check in which the feature drifted, else the newest that has it."""
    checks = within if len(within) else every_check
    drifted = np.flatnonzero(checks.states[:, 0] == DRIFTED)
    return int(checks.numbers[drifted[-1] if len(drifted) else -1])


def _over_time(
    app: App, ask: Ask, model: str, span: TimeRange, checks: Checks, chosen: Finding
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
                [
                    None if math.isnan(effect) else effect
                    for effect in buckets.effects[:, 0].tolist()
                ],
            )
        ],
        references=[] if least is None else [Reference("smallest that counts as drift", least)],
        spans=_stretches(buckets),
        marks=marks_of(app, model, span),
        zero=True,
    )


def _stretches(buckets: Buckets) -> list[Span]:
    """Return the time ranges in which the feature drifted; adjacent ones are one."""
    edges = [*buckets.starts, buckets.end]
    spans: list[tuple[datetime, datetime]] = []
    for row in np.flatnonzero(buckets.states[:, 0] == DRIFTED).tolist():
        start, end = edges[row], edges[row + 1]
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return [Span(start, end, "drifted") for start, end in spans]


def _histogram(name: str, look: FeatureLook) -> HistogramPair:
    drawn = look.distribution
    assert drawn is not None
    return HistogramPair(
        title=f"Values of {name}",
        reference=drawn.reference,
        current=drawn.current,
        edges=drawn.edges,
        labels=drawn.labels,
        reference_label=f"training data of {look.model_id}",
        current_label="window of the check",
    )


def _deviations(look: FeatureLook) -> float | None:
    """Return by how many standard deviations of the reference the mean has changed."""
    before, now = look.before, look.now
    if before.mean is None or now.mean is None or not before.deviation:
        return None
    return (now.mean - before.mean) / before.deviation


def _spread(look: FeatureLook) -> float | None:
    """Return the ratio of the standard deviations, current to reference."""
    before, now = look.before.deviation, look.now.deviation
    return None if not before or now is None else now / before


def _figures(look: FeatureLook) -> list[tuple[str, str, str]]:
    """Return the figures of both sides as words."""
    before, now = look.before, look.now
    rows = [
        ("values", number(before.size), number(now.size)),
        ("missing", percent(before.missing), percent(now.missing)),
    ]
    if before.mean is not None and look.error is None:
        rows += [
            ("mean", number(before.mean), number(now.mean)),
            ("standard deviation", number(before.deviation), number(now.deviation)),
        ]
        rows += [
            (_quantile_label(name), number(value), number(now.quantiles.get(name)))
            for name, value in before.quantiles.items()
        ]
    return rows


def _quantile_label(quantile: str) -> str:
    return "median" if quantile == "50%" else quantile.replace("%", " % lie below")


def _segments(app: App, ask: Ask, chosen: Finding, name: str) -> dict[str, Any] | None:
    """Return drift by segment, if the query has it: it reads more events than the rest."""
    if "segments" not in ask.query:
        return None
    try:
        segments = app.drift_looks.segments(
            chosen, name, threshold=float(chosen.evidence.get("threshold", 0.05))
        )
    except WatchkeeperError as error:
        return {"error": error.message, "hint": error.hint}
    return {"found": segments, "error": "", "rows": segments.segments[:_SEGMENTS]}
