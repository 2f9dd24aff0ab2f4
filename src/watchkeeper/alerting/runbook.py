"""The runbook: what each alert means and what to do, as Markdown and as a page.

The text lies with the rules and panels themselves, in ``alerts.toml`` and ``dashboards.toml``, so
that it cannot speak of others.
"""

import html
import re

from watchkeeper.alerting.dashboards import dashboards
from watchkeeper.alerting.rules import AlertThresholds, alerts

__all__ = ["markdown", "page"]

_SEVERITIES = {"critical": "critical: a page", "warning": "warning: a ticket", "none": "none"}


def markdown(thresholds: AlertThresholds) -> str:
    """Return the runbook in Markdown: a section an alert, then the panels of the dashboards.

    Parameters
    ----------
    thresholds : AlertThresholds

    Returns
    -------
    str
    """
    lines = [
        "# Runbook",
        "",
        "What each alert means and what to do when it fires; then what each panel shows.",
        "`MODEL` is the label `model` of the alert, `TIME` a moment before it began.",
        "Each alert's `runbook_url` leads here.",
    ]
    for alert in alerts(thresholds):
        held = "at once" if alert.hold == "0m" else f"for {alert.hold}"
        lines += [
            "",
            f"## {alert.name}",
            "",
            f"Severity {_SEVERITIES[alert.severity]}. Fires when this holds {held}:",
            "",
            "```promql",
            alert.expr,
            "```",
            "",
            alert.means,
            "",
            *(f"{number}. {step}" for number, step in enumerate(alert.steps, start=1)),
        ]
    for dashboard in dashboards():
        lines += ["", f"## Dashboard “{dashboard.title}”", "", dashboard.description, ""]
        lines += ["| panel | what it shows, and what to do |", "| --- | --- |"]
        lines += [f"| {panel.title} | {panel.description} |" for panel in dashboard.panels]
    return "\n".join(lines) + "\n"


def page(thresholds: AlertThresholds) -> str:
    """Return the runbook as one page of HTML, without scripts, with an anchor an alert.

    Parameters
    ----------
    thresholds : AlertThresholds

    Returns
    -------
    str
    """
    parts: list[str] = []
    for alert in alerts(thresholds):
        steps = "".join(f"<li>{_inline(step)}</li>" for step in alert.steps)
        parts.append(
            f'<h2 id="{alert.name.lower()}">{alert.name}</h2>'
            f"<p>Severity {_SEVERITIES[alert.severity]}.</p>"
            f"<p>{_inline(alert.means)}</p><ol>{steps}</ol>"
            f'<pre tabindex="0">{html.escape(alert.expr)}</pre><p>Held for {alert.hold}.</p>'
        )
    index = "".join(
        f'<li><a href="#{alert.name.lower()}">{alert.name}</a></li>' for alert in alerts(thresholds)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        "<title>Watchkeeper runbook</title><style>"
        ":root{color-scheme:light dark;background:Canvas;color:CanvasText}"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;"
        "overflow-wrap:anywhere}"
        "pre{overflow-x:auto;padding:.5rem;border:1px solid #8884}"
        "h2:target{border-left:.4rem solid #c33;padding-left:.6rem}"
        "</style></head><body><h1>Runbook</h1>"
        "<p>MODEL is the label <code>model</code> of the alert, TIME a moment before it began.</p>"
        f"<ul>{index}</ul>{''.join(parts)}</body></html>\n"
    )


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
