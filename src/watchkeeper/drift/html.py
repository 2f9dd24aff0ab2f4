"""A drift report as one HTML file that needs nothing else: no network, no server."""

import html
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from watchkeeper.drift.charts import distribution_chart
from watchkeeper.errors import MissingExtraError

if TYPE_CHECKING:
    from watchkeeper.drift.report import DriftReport, FeatureDrift

__all__ = ["page", "summary"]

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.2rem .7rem;text-align:right}"
    "th:first-child,td:first-child,td.note{text-align:left}tr.drift td{font-weight:600}"
    ".verdict{font-size:1.3rem}.charts{display:flex;flex-wrap:wrap;gap:1.5rem}"
    "figure{margin:0;background:#fff;color:#222;padding:.6rem;border-radius:.4rem}"
)


def summary(report: "DriftReport") -> str:
    """Return the verdict and the table of features, for a notebook or the head of a page."""
    verdict = _verdict(report)
    head = "".join(
        f"<th>{name}</th>" for name in ("feature", "", "effect", "p", "adjusted p", "method", "")
    )
    rows = "".join(_row(name, report.features[name]) for name in ranked(report))
    return (
        f'<p class="verdict"><strong>{html.escape(verdict)}</strong></p>'
        f"<p>{html.escape(_sizes(report))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def page(report: "DriftReport", title: str = "Drift report") -> str:
    """Return a self-contained page: the verdict, the features by strength, and their histograms.

    Raises
    ------
    MissingExtraError
        If what draws the charts is not installed.
    """
    names = [name for name in ranked(report) if report.features[name].distribution is not None]
    charts, figures = [], []
    for number, name in enumerate(names):
        found = report.features[name].distribution
        if found is not None:
            charts.append(distribution_chart(found).to_dict())
            figures.append(
                f'<figure><figcaption>{html.escape(name)}</figcaption><div id="c{number}"></div>'
                "</figure>"
            )
    data = json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")
    changes = "".join(f"<li>{html.escape(each)}</li>" for each in _changes(report))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{summary(report)}"
        + (f"<h2>Changes of the schema</h2><ul>{changes}</ul>" if changes else "")
        + f'<h2>Reference and current</h2><div class="charts">{"".join(figures)}</div>'
        f'<script type="application/json" id="charts">{data}</script>'
        f"<script>{_bundle()}</script>"
        "<script>JSON.parse(document.getElementById('charts').textContent).forEach("
        "(spec,i)=>vegaEmbed('#c'+i,spec,{actions:false,renderer:'svg'}))</script>"
        "</body></html>\n"
    )


def ranked(report: "DriftReport") -> list[str]:
    """Return the features, those that drifted first, the strongest of them before the others."""
    return sorted(
        report.features,
        key=lambda name: (
            not report.features[name].drift_detected,
            -(report.features[name].effect_size or 0.0),
        ),
    )


@lru_cache(maxsize=1)
def _bundle() -> str:
    """Return the script that draws, whole, as one `<script>` may hold it."""
    try:
        import vl_convert
    except ImportError:
        raise MissingExtraError("an HTML report", "charts") from None
    script: str = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    return script.replace("</script", "<\\/script")


def _verdict(report: "DriftReport") -> str:
    drifted, known = len(report.drifted), len(report.features)
    if report.drift_detected:
        return f"Drift in {drifted} of {known} features"
    return f"No drift in {known} features"


def _sizes(report: "DriftReport") -> str:
    over = f", over {report.checks:,} checks" if report.checks > 1 else ""
    return (
        f"{report.reference_size:,} reference rows, {report.current_size:,} current rows; level "
        f"{report.threshold:g}{over} ({report.correction}), smallest effect {report.min_effect:g}."
    )


def _row(name: str, each: "FeatureDrift") -> str:
    told = {True: "drift", False: "ok", None: "not tested"}[each.drift_detected]
    kind = ' class="drift"' if each.drift_detected else ""
    cells = [
        name,
        told,
        _number(each.effect_size),
        _number(each.p_value),
        _number(each.adjusted_p_value),
        each.method or "",
    ]
    drawn = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr{kind}>{drawn}<td class="note">{html.escape(each.error or "")}</td></tr>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _changes(report: "DriftReport") -> list[str]:
    changes = report.schema_changes
    return [
        *(f"{name} is missing" for name in changes.missing),
        *(f"{name} is new" for name in changes.new),
        *(f"{name} is {how}" for name, how in changes.retyped.items()),
    ]
