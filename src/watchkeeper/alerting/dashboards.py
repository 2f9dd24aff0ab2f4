"""Grafana dashboards: all models at a glance, one model, and the system about itself.

What they show is in ``dashboards.toml``: every panel says what it shows and what to do when it
looks bad.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
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
    description : str
        What it shows, and what to do when it looks bad.
    queries : tuple of (expression, legend)
    kind : {"timeseries", "stat", "table", "heatmap"}
    unit : str
        As Grafana calls it.
    width : int
        Of 24 columns.
    from_zero : bool
        Whether the axis begins at 0; otherwise the data decide.
    top : float or None
        Where the axis ends; None leaves it to the data.
    bad : float or None
        Where red begins.
    """

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    from_zero: bool = True
    top: float | None = None
    bad: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard: its panels in order, and the labels that one can choose."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = field(default=())  # name, metric that has the label


@cache
def dashboards() -> tuple[Dashboard, ...]:
    """Return the dashboards of ``dashboards.toml``, in its order.

    Returns
    -------
    tuple of Dashboard
    """
    text = resources.files("watchkeeper.alerting").joinpath("dashboards.toml").read_text("utf-8")
    return tuple(_dashboard(**entry) for entry in tomllib.loads(text)["dashboard"])


def _dashboard(
    *, panels: list[dict[str, Any]], variables: Sequence[Sequence[str]] = (), **texts: str
) -> Dashboard:
    return Dashboard(
        **texts,
        panels=tuple(_described_panel(**panel) for panel in panels),
        variables=tuple((name, metric) for name, metric in variables),
    )


def _described_panel(*, queries: list[list[str]], **fields: Any) -> Panel:
    return Panel(**fields, queries=tuple((expression, legend) for expression, legend in queries))


def grafana_json(dashboard: Dashboard, runbook_url: str) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it.

    Parameters
    ----------
    dashboard : Dashboard
    runbook_url : str
        Linked from its head.

    Returns
    -------
    dict of str to object
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
        "description": dashboard.description,
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
    if panel.kind != "table" and panel.from_zero:
        defaults["min"] = 0.0
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
        "description": panel.description,
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
