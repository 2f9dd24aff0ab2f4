"""Drift of a model: state, drifted features over time, and actions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from watchkeeper.app import App
from watchkeeper.charts import Entry, HeatCell, HeatMap, HeatRow, Mark, Sparkline, Table
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.pages.drift_checks import (
    address,
    asked_check,
    evidence_of,
    listed,
    marks_of,
    strongest,
)
from watchkeeper.dashboard.pages.drift_feature import feature
from watchkeeper.dashboard.time_range import TimeRange
from watchkeeper.drift.checks import DRIFTED, STEADY, UNKNOWN, Buckets, Checks, Ranked
from watchkeeper.errors import NotFoundError
from watchkeeper.events import check_name
from watchkeeper.records import Finding

__all__ = ["feature", "page"]

_ROWS = 30  # features in the heat map
_LISTED = 60  # in the ranking
_CHECKS = 20  # in the list of checks
_COMPARED = 200  # features in the table of one check
_READ = 5  # checks that are read for what the ranking tells of the last one of a feature
_LATE = 3.0  # intervals after which a check is missed
_STATES: Mapping[int, Any] = {DRIFTED: "drifted", STEADY: "not", UNKNOWN: "unknown"}


@dataclass(frozen=True, kw_only=True)
class DriftMap(HeatMap):
    """A heat map whose table has a row for each bucket, and a column for each feature."""

    def table(self) -> Table:
        """Return the drift scores, and the names of the drifted features.

        Returns
        -------
        Table
        """
        rows: list[tuple[Entry, ...]] = []
        for index, start in enumerate(self.times):
            end = self.times[index + 1] if index + 1 < len(self.times) else self.end
            cells = [row.cells[index] for row in self.rows]
            names = [
                row.label
                for row, cell in zip(self.rows[1:], cells[1:], strict=True)
                if cell is not None and cell.state == "drifted"
            ]
            values = [None if cell is None else _rounded(cell.value) for cell in cells]
            rows.append((start, end, "; ".join(names), *values))
        columns = ("from", "to", "drifted", *(row.label for row in self.rows))
        return Table(columns=columns, rows=rows)


def page(app: App, ask: Ask) -> Page:
    """Return the page of drift: state, since when, and the most drifted features.

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
        If the model is unknown.
    InvalidValueError
        If the query asks for a range or a check that does not exist.
    """
    model = ask.names["model"]
    checks = app.drift_history.checks(model)
    production = app.registry.get_production_model(model)
    if not len(checks):
        _require_known(app, model)
    span = ask.span()
    within = checks.within(span.start, span.end)
    ranking = within.ranking()
    buckets = within.over(span.start, span.end)
    marks = marks_of(app, model, span)
    latest = checks.latest
    newest = None if latest is None else app.findings.get(latest.number)
    policy = app.settings.policy(model).drift
    chosen = asked_check(app, ask, model)
    return Page(
        template="drift.html",
        title=f"Drift of {model}",
        section="Overview",
        model=model,
        span=span,
        charts={"heat": _heat(model, ask, span, buckets, within, ranking, marks)}
        if len(within)
        else {},
        context={
            "model": model,
            "kept": _query(span),
            "named": {},
            "production": production,
            "trained": production is not None and _keeps_data(app, production),
            "policy": policy,
            "latest": latest,
            "now": None if newest is None else _standing(model, span, newest),
            "late": latest is not None
            and (ask.now - latest.at).total_seconds() > _LATE * policy.interval,
            "waits": app.retraining_monitor.under_way(model),
            "incidents": [
                incident
                for incident in app.incidents.find(model)
                if incident.active and incident.source == "finding:drift"
            ],
            "within": len(within),
            "drifted_within": int(within.bad.sum()),
            "known": len(checks),
            "features": len(ranking),
            "drawn": min(_ROWS, len(ranking)),
            "ranking": _ranking(app, model, ask, span, ranking[:_LISTED], within, buckets),
            "checks": listed(within, _CHECKS),
            "chosen": None if chosen is None else _check(model, span, chosen),
        },
    )


def _heat(
    model: str,
    ask: Ask,
    span: TimeRange,
    buckets: Buckets,
    checks: Checks,
    ranking: list[Ranked],
    marks: list[Mark],
) -> DriftMap:
    """Return features by time, below a row of whole checks that leads to the worst of each."""
    whole = HeatRow(
        "share that drifted",
        [
            None
            if number is None
            else HeatCell(
                share,
                "drifted" if bad else "not",
                f"?{span.query}&finding={number}#check" if bad else None,
            )
            for number, bad, share in zip(buckets.numbers, buckets.bad, buckets.shares, strict=True)
        ],
    )
    places = {name: column for column, name in enumerate(checks.features)}
    rows = [
        HeatRow(
            ranked.feature,
            _cells(buckets, places[ranked.feature]),
            address(model, ranked.feature, **_query(span)),
        )
        for ranked in ranking[:_ROWS]
    ]
    return DriftMap(
        title="Distance from the training data, by feature",
        zone=ask.viewer.zone,
        times=buckets.starts,
        end=buckets.end,
        rows=[whole, *rows],
        marks=marks,
    )


def _cells(buckets: Buckets, column: int) -> list[HeatCell | None]:
    states, effects = buckets.states[:, column].tolist(), buckets.effects[:, column].tolist()
    return [
        None if state not in _STATES else HeatCell(_finite(effect), _STATES[state])
        for state, effect in zip(states, effects, strict=True)
    ]


def _ranking(
    app: App,
    model: str,
    ask: Ask,
    span: TimeRange,
    ranking: list[Ranked],
    checks: Checks,
    buckets: Buckets,
) -> list[dict[str, Any]]:
    """Return the features as rows; a p-value is that of the last check that looked at one."""
    numbers = sorted({ranked.last for ranked in ranking}, reverse=True)[:_READ]
    read = {number: app.findings.get(number) for number in numbers}
    places = {name: column for column, name in enumerate(checks.features)}
    rows = []
    for ranked in ranking:
        finding = read.get(ranked.last)
        result = {} if finding is None else finding.evidence["features"].get(ranked.feature, {})
        line = Sparkline(
            title=f"distance of {ranked.feature}",
            zone=ask.viewer.zone,
            times=buckets.starts,
            end=buckets.end,
            values=[
                _finite(value) for value in buckets.effects[:, places[ranked.feature]].tolist()
            ],
            limit=None if finding is None else finding.evidence.get("min_effect"),
            zero=True,
        )
        rows.append(
            {
                "ranked": ranked,
                "address": address(model, ranked.feature, **_query(span)),
                "p_value": result.get("p_value"),
                "method": result.get("method"),
                "error": result.get("error"),
                "line": line.svg(),
            }
        )
    return rows


def _standing(model: str, span: TimeRange, newest: Finding) -> dict[str, Any]:
    """Return the result of the newest check: the most drifted features, and prediction drift."""
    evidence = newest.evidence
    features = strongest(newest)
    query = {**_query(span), "finding": str(newest.number)}
    return {
        "finding": newest,
        "reference": evidence.get("reference", ""),
        "features": len(features),
        "drifted": [
            (name, result["effect_size"], address(model, name, **query))
            for name, result in features
            if result.get("drift_detected")
        ],
        "unknown": [
            (
                name,
                result.get("error") or "no reason is stored",
                address(model, name, **_query(span)),
            )
            for name, result in features
            if result.get("drift_detected") is None
        ],
        "answers": evidence.get("answers"),
        "threshold": evidence.get("threshold"),
        "checks": evidence.get("checks", 1),
        "min_effect": evidence.get("min_effect"),
    }


def _check(model: str, span: TimeRange, finding: Finding) -> dict[str, Any]:
    """Return all figures of one check."""
    evidence = finding.evidence
    query = {**_query(span), "finding": str(finding.number)}
    missing, unseen = evidence.get("missing_values", {}), evidence.get("unseen_categories", {})
    features = strongest(finding)
    return {
        "finding": finding,
        "whole": evidence,
        "features": len(features),
        "compared": sum(result.get("drift_detected") is not None for _, result in features),
        "rows": [
            {
                **result,
                "name": name,
                "address": address(model, name, **query),
                "missing": missing.get(name),
                "unseen": unseen.get(name),
            }
            for name, result in features[:_COMPARED]
        ],
        "evidence": evidence_of(finding),
    }


def _require_known(app: App, model: str) -> None:
    """Refuse a model of which there is neither a version nor an event."""
    check_name(model, "model")
    if not app.registry.taken_versions(model) and model not in app.events.models():
        raise NotFoundError("model", model, "The overview lists those there are.")


def _keeps_data(app: App, model_id: str) -> bool:
    return "training_data" in app.registry.get(model_id).about


def _query(span: TimeRange) -> dict[str, str]:
    return dict(parse_qsl(span.query))


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
