"""Grafana dashboards, built here so that no panel shows a metric that is not there.

Three: all models at a glance, one model, and the system about itself. Every panel says what it
shows and what to do when it looks bad.
"""

from dataclasses import dataclass, field
from itertools import starmap
from typing import Any, Literal

__all__ = ["Dashboard", "Panel", "dashboards", "grafana_json"]

Kind = Literal["timeseries", "stat", "table", "heatmap"]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24  # columns of Grafana's grid
_HEIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes
    ----------
    title : str
    told : str
        What it shows, and what to do when it looks bad.
    queries : tuple of (expression, legend)
    kind : {"timeseries", "stat", "table", "heatmap"}
    unit : str
        As Grafana calls it.
    width : int
        Of 24 columns.
    bottom, top : float or None
        Where the axis begins and ends; None leaves it to the data.
    bad : float or None
        Where red begins.
    """

    title: str
    told: str
    queries: tuple[tuple[str, str], ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    bottom: float | None = 0.0
    top: float | None = None
    bad: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard: its panels in order, and the labels that one can choose."""

    uid: str
    title: str
    told: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = field(default=())  # name, metric that has the label


_OF_MODEL = 'model="$model", model_version=~"$model_version"'
_MODEL = 'model="$model"'
_RECORDED = "sum by (event) (rate(watchkeeper_events_recorded_total[$__rate_interval]))"


def dashboards() -> list[Dashboard]:
    """Return the dashboards."""
    return [_overview(), _model(), _system()]


def _overview() -> Dashboard:
    return Dashboard(
        uid="watchkeeper-overview",
        title="Watchkeeper: all models",
        told="Which model is ill, and since when.",
        panels=(
            Panel(
                title="Alerts that fire",
                told="What people were told of. Watchdog always fires; if it is missing, "
                "alerting is "
                "broken. The runbook says what to do about each.",
                queries=(('ALERTS{alertstate="firing"}', ""),),
                kind="table",
                width=12,
            ),
            Panel(
                title="In production",
                told="The version of each model that answers. An unexpected one: "
                "watchkeeper models show says who promoted it and why.",
                queries=((("max by (model, version, framework, algorithm, trained_date) "
                          "(model_metadata_info)"), ""),),
                kind="table",
                width=12,
            ),
            Panel(
                title="Predictions per second",
                told="Rows that were predicted. A fall to zero means that callers fail before they "
                "reach the server.",
                queries=(("sum by (model) (model:model_predictions:rate5m)", "{{model}}"),),
            ),
            Panel(
                title="Share of predictions that failed",
                told="Above 5 % for 5 minutes HighErrorRate pages. Read the errors with "
                "watchkeeper events export.",
                queries=(("model:model_prediction_errors:ratio_rate5m",
                          "{{model}} {{model_version}}"),),
                unit="percentunit",
                bad=0.05,
            ),
            Panel(
                title="Latency, 95th percentile",
                told="From arrival until the answer is recorded. If it rises with traffic, add "
                "workers or replicas; if not, look at the model.",
                queries=(("model:model_prediction_latency_seconds:p95_rate5m",
                          "{{model}} {{model_version}}"),),
                unit="s",
                bad=1.0,
            ),
            Panel(
                title="Accuracy",
                told="Of the newest labelled predictions. Gaps mean that it is not known. When it "
                "falls, see drift below, then watchkeeper quality.",
                queries=(("model:model_accuracy:newest", "{{model}} {{model_version}}"),),
                unit="percentunit",
                top=1.0,
                width=12,
            ),
            Panel(
                title="Share of features that drifted",
                told="In the last check of each model. One feature is often a broken pipeline, "
                "many "
                "are the world.",
                queries=(("max by (model) (model_dataset_drift_share)", "{{model}}"),),
                unit="percentunit",
                top=1.0,
                width=12,
            ),
        ),
    )  # fmt: skip


def _model() -> Dashboard:
    sums, counts = (
        f"sum by (model_version) (rate(model_prediction_score_{part}{{{_OF_MODEL}}}"
        "[$__rate_interval]))"
        for part in ("sum", "count")
    )
    feature_sums, feature_counts = (
        f"sum by (feature_name) (rate(model_input_feature_value_{part}{{{_MODEL}}}"
        "[$__rate_interval]))"
        for part in ("sum", "count")
    )
    quantiles = tuple(
        (f"model:model_prediction_latency_seconds:p{q}_rate5m{{{_OF_MODEL}}}",
         f"{{{{model_version}}}} p{q}")
        for q in (50, 95, 99)
    )  # fmt: skip
    return Dashboard(
        uid="watchkeeper-model",
        title="Watchkeeper: one model",
        told="What one model is asked, answers, and how good that is.",
        variables=(
            ("model", "model_predictions_total"),
            ("model_version", "model_predictions_total"),
        ),
        panels=(
            Panel(
                title="Predictions per second by version",
                told="How traffic is split over the versions. After a promotion the former "
                "falls to "
                "zero.",
                queries=((f"model:model_predictions:rate5m{{{_OF_MODEL}}}", "{{model_version}}"),),
            ),
            Panel(
                title="Failed predictions per second",
                told="Errors by version. Read them with watchkeeper events export; roll back "
                "if they "
                "began with a promotion.",
                queries=((f"model:model_prediction_errors:rate5m{{{_OF_MODEL}}}",
                          "{{model_version}}"),),
            ),
            Panel(
                title="Predictions in flight",
                told=("Rows that wait for their answer. A plateau means that the model cannot "
                "keep up."),
                queries=((f"sum by (model) (model_active_predictions{{{_MODEL}}})", "in flight"),),
            ),
            Panel(
                title="Latency quantiles",
                told="Median, 95th and 99th percentile. When only the 99th rises, look for large "
                "requests.",
                queries=quantiles,
                unit="s",
                width=12,
                bad=1.0,
            ),
            Panel(
                title="Latency distribution",
                told="Requests by duration. Two bands are two kinds of requests, or two versions.",
                queries=(((f"sum by (le) (increase(model_prediction_latency_seconds_bucket"
                          f"{{{_OF_MODEL}}}[$__rate_interval]))"), "{{le}}"),),
                kind="heatmap",
                unit="s",
                width=12,
            ),
            Panel(
                title="Accuracy by version",
                told="Of the newest labelled predictions. Compare with the baseline in "
                "watchkeeper quality.",
                queries=((f"model:model_accuracy:newest{{{_OF_MODEL}}}", "{{model_version}}"),),
                unit="percentunit",
                top=1.0,
            ),
            Panel(
                title="Age of the accuracy",
                told="Seconds since it was measured. More than a day: outcomes do not arrive.",
                queries=(((f"time() - max by (model_version) "
                          f"(model_accuracy_timestamp_seconds{{{_OF_MODEL}}})"),
                          "{{model_version}}"),),
                unit="s",
                bad=86400.0,
            ),
            Panel(
                title="Mean score",
                told="Of answered predictions. A jump without a promotion means that the inputs "
                "changed.",
                queries=((f"{sums} / {counts}", "{{model_version}}"),),
                bottom=None,
            ),
            Panel(
                title="Strongest drift",
                told="Effect size of the ten features that moved most in the last check: 0 is no "
                "difference, 1 none in common.",
                queries=(((f"topk(10, max by (feature_name, method) "
                          f"(model_feature_drift_score{{{_MODEL}}}))"),
                          "{{feature_name}} ({{method}})"),),
                top=1.0,
            ),
            Panel(
                title="Which features drifted",
                told=("1 for each that did, in the last check. Start with watchkeeper drift "
                "--model."),
                queries=(((f"max by (feature_name, method) "
                          f"(model_feature_drift_detected{{{_MODEL}}})"), ""),),
                kind="table",
            ),
            Panel(
                title="Mean of each feature",
                told="Of answered predictions. A step is a changed unit or default upstream.",
                queries=((f"{feature_sums} / {feature_counts}", "{{feature_name}}"),),
                bottom=None,
            ),
        ),
    )  # fmt: skip


def _system() -> Dashboard:
    return Dashboard(
        uid="watchkeeper-system",
        title="Watchkeeper: the system itself",
        told="Whether what must be kept is kept, and whether the jobs run.",
        panels=(
            Panel(
                title="Replicas that answer",
                told="Of those that Prometheus knows. Fewer than all: WatchkeeperDown pages.",
                queries=(('sum(up{job="watchkeeper"})', "up"),
                         ('count(up{job="watchkeeper"})', "all")),
                kind="stat",
                width=6,
            ),
            Panel(
                title="Versions of Watchkeeper",
                told="More than one during an update only.",
                queries=(("count by (version) (watchkeeper_build_info)", "{{version}}"),),
                kind="stat",
                width=6,
            ),
            Panel(
                title="Events not recorded",
                told="Must stay 0. Otherwise free disk space; what was dropped is lost.",
                queries=(("sum(watchkeeper_events_dropped_total)", "dropped"),),
                kind="stat",
                width=6,
                bad=1.0,
            ),
            Panel(
                title="Time since events last landed",
                told="With traffic, a minute or two. It grows without traffic, which is fine.",
                queries=(("time() - max(watchkeeper_last_commit_timestamp_seconds)", "landed"),),
                kind="stat",
                unit="s",
                width=6,
            ),
            Panel(
                title="Events recorded per second",
                told="Predictions and outcomes that reached the journal.",
                queries=((_RECORDED, "{{event}}"),),
            ),
            Panel(
                title="Requests refused per second",
                told="Answered 503. GET /v2/health/ready gives the reasons; add workers if it is "
                "overload.",
                queries=(("sum(rate(watchkeeper_requests_refused_total[$__rate_interval]))",
                          "refused"),),
            ),
            Panel(
                title="Requests in flight",
                told="By replica. Near server.max_in_flight, requests are refused.",
                queries=(("sum by (instance) (watchkeeper_requests_in_flight)", "{{instance}}"),),
            ),
            Panel(
                title="Journal",
                told="Bytes that have not landed. A steady rise means that a table cannot be "
                "written; the log says which.",
                queries=(("max(watchkeeper_journal_bytes)", "journal"),),
                unit="bytes",
            ),
            Panel(
                title="Segments that wait",
                told="Sealed and not landed. A handful is usual.",
                queries=(("max(watchkeeper_segments_waiting)", "segments"),),
            ),
            Panel(
                title="Age of the oldest segment that waits",
                told="Above 15 minutes PredictionLogNotAdvancing pages.",
                queries=(("max(watchkeeper_oldest_segment_age_seconds)", "oldest"),),
                unit="s",
                bad=900.0,
            ),
            Panel(
                title="Background jobs, runs per second",
                told="By task. None at all: the process hangs.",
                queries=(("sum by (task) (rate(watchkeeper_job_runs_total[$__rate_interval]))",
                          "{{task}}"),),
            ),
            Panel(
                title="Background jobs, failures",
                told="Over 15 minutes, by task. The log has the error of each.",
                queries=(("sum by (task) (increase(watchkeeper_job_failures_total[15m]))",
                          "{{task}}"),),
                bad=1.0,
            ),
            Panel(
                title="Time since each job ended well",
                told="Registry and landing run every few seconds, accuracy and drift as their "
                "settings say.",
                queries=(("time() - max by (task) (watchkeeper_job_last_success_timestamp_seconds)",
                          "{{task}}"),),
                unit="s",
            ),
            Panel(
                title="Alerts received",
                told="That Alertmanager has posted. If alerts fire and this stands still, look at "
                "Alertmanager's log and the key in its secrets folder.",
                queries=(("sum by (status) (watchkeeper_alerts_received_total)", "{{status}}"),),
            ),
            Panel(
                title="Values of features without a series",
                told="Rises when callers send features that the signature does not have.",
                queries=(("sum by (model) (model_input_features_ignored_total)", "{{model}}"),),
            ),
            Panel(
                title="Memory",
                told="Resident memory by replica (servers of one process). It stays flat under "
                "constant traffic.",
                queries=(('process_resident_memory_bytes{job="watchkeeper"}', "{{instance}}"),),
                unit="bytes",
            ),
            Panel(
                title="CPU",
                told="Cores in use by replica (servers of one process). At 1, add workers.",
                queries=(('rate(process_cpu_seconds_total{job="watchkeeper"}[$__rate_interval])',
                          "{{instance}}"),),
            ),
            Panel(
                title="Open files",
                told="By replica (servers of one process). It stays far below the limit of the "
                "process.",
                queries=(('process_open_fds{job="watchkeeper"}', "{{instance}}"),),
            ),
        ),
    )  # fmt: skip


def grafana_json(dashboard: Dashboard, runbook_url: str) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it.

    Parameters
    ----------
    dashboard : Dashboard
    runbook_url : str
        Linked from its head.
    """
    panels: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(dashboard.panels, start=1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        panels.append(_panel(panel, number, {"h": _HEIGHT, "w": panel.width, "x": x, "y": y}))
        x += panel.width
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.told,
        "tags": ["watchkeeper"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {
                "title": "Runbook", "type": "link", "url": runbook_url, "icon": "doc",
                "tooltip": "", "tags": [], "asDropdown": False, "targetBlank": True,
                "includeVars": False, "keepTime": False,
            },
            {
                "title": "Watchkeeper", "type": "dashboards", "url": "", "icon": "dashboard",
                "tooltip": "", "tags": ["watchkeeper"], "asDropdown": True, "targetBlank": False,
                "includeVars": True, "keepTime": True,
            },
        ],
        "annotations": {"list": []},
        "templating": {"list": [_source(), *starmap(_variable, dashboard.variables)]},
        "panels": panels,
    }  # fmt: skip


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _variable(name: str, metric: str) -> dict[str, Any]:
    within = "" if name == "model" else '{model="$model"}'
    return {
        "name": name,
        "label": name.replace("_", " "),
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values({metric}{within}, {name})",
        "refresh": 2,
        "sort": 1,
        "multi": name != "model",
        "includeAll": name != "model",
        "allValue": None if name == "model" else ".*",
        "current": {},
        "hide": 0,
    }


def _panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind != "table" and panel.bottom is not None:
        defaults["min"] = panel.bottom
    if panel.top is not None:
        defaults["max"] = panel.top
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "showPoints": "auto",
            "thresholdsStyle": {"mode": "off" if panel.bad is None else "dashed"},
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.told,
        "gridPos": position,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": "ABCDEF"[at],
                "datasource": _SOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
                "instant": panel.kind == "table",
                "range": panel.kind != "table",
                "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
            }
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "cellGap": 1,
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
    },
}
